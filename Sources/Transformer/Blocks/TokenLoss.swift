import LinearAlgebra

/// Cross-entropy of the positions that carry loss, found in blocks: the logits of a batch never exist all at once.
struct TokenLoss {
    /// Rows whose logits exist at a time, where all tokens' are needed together.
    static let block = 128
    /// Products are of a multiple of so many rows: for other numbers oneDNN's would need room for copies, each as large as a block's logits.
    private static let rowStep = 16

    /// Room for intermediate results.
    struct Scratch {
        /// positions with loss × width
        var hidden = Matrix()
        var hiddenGradients = Matrix()
        /// block × vocabulary
        var logits = Matrix()
        var cappedLogits = Matrix()
        var blockInputs = Matrix()
        /// block × width: what the head has of the labels.
        var labelRows = Matrix()
        var crossEntropy = StreamedCrossEntropy()
    }

    /// Computes losses, and the gradients of the final hidden states.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - gradients: Becomes tokens × width, zero where there is no loss; left alone if nil is passed.
    /// - Returns: The loss of each position in nats (zero where none is asked), and the labels used.
    static func evaluate<Tap: GradientTap>(
        hidden: Matrix, head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch, gradients: inout Matrix,
        wantsGradients: Bool, tap: inout Tap
    ) -> TokenLosses {
        let lossPositions = batch.lossPositions
        // What is found of the last position again and again is left where it is.
        let positions = tap.needsEveryParameter ? lossPositions : padded(lossPositions)
        var result = TokenLosses(losses: [Float](repeating: 0, count: batch.tokens.count), labels: batch.targets)
        scratch.hidden.gatherRows(positions, of: hidden)
        scratch.hiddenGradients.resize(rows: positions.count, columns: hidden.columns)
        if batch.samplesLabels || tap.needsEveryParameter {
            evaluateRows(
                positions, head: head, batch: batch, &scratch, wantsGradients: wantsGradients, tap: &tap, into: &result)
        } else {
            evaluateParts(
                positions, head: head, batch: batch, &scratch, wantsGradients: wantsGradients, into: &result)
        }
        if wantsGradients {
            gradients.scatterRows(of: scratch.hiddenGradients, to: lossPositions, rows: batch.tokens.count)
        }
        return result
    }

    /// With all tokens' logits of some rows at a time, from which labels can be drawn and the head's own gradient be had.
    static func evaluateRows<Tap: GradientTap>(
        _ positions: [Int], head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch, wantsGradients: Bool,
        tap: inout Tap, into result: inout TokenLosses
    ) {
        for start in stride(from: 0, to: positions.count, by: block) {
            let rows = start..<min(start + block, positions.count)
            let inputs = scratch.hidden[rows: rows]
            head.formLogits(of: inputs, into: &scratch.logits)
            if wantsGradients, head.cap != nil { scratch.cappedLogits.copyValues(of: scratch.logits) }
            var labels = rows.map { batch.targets[positions[$0]] }
            var losses = [Float](repeating: 0, count: rows.count)
            let uniforms = batch.samplesLabels ? rows.map { batch.uniforms[positions[$0]] } : nil
            scratch.logits.applySoftmaxCrossEntropy(labels: &labels, uniforms: uniforms, losses: &losses)
            for (offset, row) in rows.enumerated() {
                result.losses[positions[row]] = losses[offset]
                result.labels[positions[row]] = labels[offset]
            }
            guard wantsGradients else { continue }
            if let cap = head.cap { scratch.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap) }
            if tap.needsEveryParameter {
                scratch.blockInputs.gatherRows(Array(rows), of: scratch.hidden)
                tap.recordHead(inputs: scratch.blockInputs, outputGradients: scratch.logits)
            }
            scratch.hiddenGradients.setBlock(
                row: start, column: 0, toProduct: scratch.logits.slice, head.weight)
        }
    }

    /// The bytes of the logits that exist at a time.
    static func logitBytes(positions: Int, vocabulary: Int, samplesLabels: Bool) -> Int {
        let rows = min(positions, samplesLabels ? block : part.rows)
        let columns = samplesLabels ? vocabulary : parts(of: vocabulary).first?.count ?? 0
        return rows * columns * MemoryLayout<Float>.stride
    }

    /// Positions up to a multiple of ``rowStep``, the last one repeated.
    private static func padded(_ positions: [Int]) -> [Int] {
        guard let last = positions.last else { return [] }
        let count = (positions.count + rowStep - 1) / rowStep * rowStep
        return positions + [Int](repeating: last, count: count - positions.count)
    }
}

/// What each position of a batch lost.
public struct TokenLosses: Sendable {
    /// `-log p(label | everything before)` in nats, one a position; zero where no prediction is asked.
    public var losses: [Float]
    /// The label predicted at each position: the batch's target, or what was sampled.
    public var labels: [Int32]

    /// The summed loss of some rows.
    public func sum(over rows: Range<Int>) -> Double { losses[rows].reduce(0) { $0 + Double($1) } }
}
