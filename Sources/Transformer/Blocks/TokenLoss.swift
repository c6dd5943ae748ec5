import LinearAlgebra

/// Cross-entropy of the positions that carry loss, computed in blocks: the logits of a batch never exist all at once.
struct TokenLoss {
    /// The rows whose logits exist at a time, if those of the whole vocabulary are needed together.
    static let block = 128
    /// Products have a multiple of this many rows: for other numbers, oneDNN allocates copies, each as large as a block's logits.
    private static let rowStep = 16

    /// Intermediate results.
    struct Scratch {
        /// positions with loss × width
        var hidden = Matrix()
        var hiddenGradients = Matrix()
        /// block × vocabulary
        var logits = Matrix()
        var cappedLogits = Matrix()
        var blockInputs = Matrix()
        /// block × width: the head's rows of the labels.
        var labelRows = Matrix()
        var crossEntropy = StreamedCrossEntropy()
    }

    /// Computes losses, and the gradients of the final hidden states.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - gradients: Becomes tokens × width, zero at positions without loss; unchanged if no gradients are wanted.
    /// - Returns: The loss of each position in nats (zero at positions without loss), and the labels used.
    static func evaluate<Tap: GradientTap>(
        hidden: Matrix, head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch, gradients: inout Matrix,
        wantsGradients: Bool, tap: inout Tap
    ) -> TokenLosses {
        let lossPositions = batch.lossPositions
        // The results of the padding, which repeats the last position, are not used.
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

    /// Computes the logits of the whole vocabulary for some rows at a time, so that labels can be sampled and the head's gradient computed.
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

    /// Computes gradients of the final hidden states from gradients of the logits, block by block.
    ///
    /// - Parameters:
    ///   - hidden: tokens × width, after the last normalisation.
    ///   - gradients: Becomes tokens × width, zero at positions without loss.
    ///   - formLogitGradients: Turns a block's probabilities in ``Scratch/logits`` into gradients of its logits. It receives the block's
    ///     rows among the positions with loss.
    static func formGradients(
        hidden: Matrix, head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch, gradients: inout Matrix,
        formLogitGradients: (_ rows: Range<Int>, _ scratch: inout Scratch) -> Void
    ) {
        let positions = batch.lossPositions
        scratch.hidden.gatherRows(positions, of: hidden)
        scratch.hiddenGradients.resize(rows: positions.count, columns: hidden.columns)
        for start in stride(from: 0, to: positions.count, by: block) {
            let rows = start..<min(start + block, positions.count)
            head.formLogits(of: scratch.hidden[rows: rows], into: &scratch.logits)
            if head.cap != nil { scratch.cappedLogits.copyValues(of: scratch.logits) }
            scratch.logits.applySoftmax()
            formLogitGradients(rows, &scratch)
            if let cap = head.cap { scratch.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap) }
            scratch.hiddenGradients.setBlock(row: start, column: 0, toProduct: scratch.logits.slice, head.weight)
        }
        gradients.scatterRows(of: scratch.hiddenGradients, to: positions, rows: batch.tokens.count)
    }

    /// The bytes of the logits that exist at a time.
    static func logitBytes(positions: Int, vocabulary: Int, samplesLabels: Bool) -> Int {
        let rows = min(positions, samplesLabels ? block : part.rows)
        let columns = samplesLabels ? vocabulary : parts(of: vocabulary).first?.count ?? 0
        return rows * columns * MemoryLayout<Float>.stride
    }

    /// The positions, padded to a multiple of ``rowStep`` by repeating the last one.
    private static func padded(_ positions: [Int]) -> [Int] {
        guard let last = positions.last else { return [] }
        let count = (positions.count + rowStep - 1) / rowStep * rowStep
        return positions + [Int](repeating: last, count: count - positions.count)
    }
}

/// The loss of each position of a batch.
public struct TokenLosses: Sendable {
    /// `-log p(label | everything before)` in nats, one per position; zero at positions without loss.
    public var losses: [Float]
    /// The label of each position: the batch's target, or the sampled token.
    public var labels: [Int32]

    /// The summed loss of some rows.
    public func sum(over rows: Range<Int>) -> Double { losses[rows].reduce(0) { $0 + Double($1) } }
}

extension TokenLoss {
    /// The rows and tokens whose logits exist at a time: few enough to stay in the processor's cache between writing and reading.
    static let part = (rows: 256, tokens: 2_048)
    /// The kernels of products are fastest for widths that are multiples of this.
    private static let tokenStep = 64

    /// Computes the logits of one part of the vocabulary at a time, for labels that are known, and updates softmax and gradients with
    /// each part.
    ///
    /// With `e` and `S` of ``StreamedCrossEntropy`` and the head's rows `w`, a hidden state's gradient is
    /// `Σ_{v ≠ label} p_v (w_v - w_label) = (Σ_{v ≠ label} e_v w_v - S w_label) / (S + e_label)`: this form never subtracts the label's
    /// probability from 1. If logits are capped, each `w_v` is multiplied by the derivative of its cap.
    static func evaluateParts(
        _ positions: [Int], head: OutputHead, batch: TokenBatch, _ scratch: inout Scratch, wantsGradients: Bool,
        into result: inout TokenLosses
    ) {
        let tokens = parts(of: head.weight.rows)
        for start in stride(from: 0, to: positions.count, by: part.rows) {
            let rows = start..<min(start + part.rows, positions.count)
            let labels = rows.map { batch.targets[positions[$0]] }
            let inputs = scratch.hidden[rows: rows]
            scratch.crossEntropy.start(labels: labels)
            for tokens in tokens {
                head.formLogits(of: inputs, tokens: tokens, into: &scratch.logits)
                if wantsGradients, head.cap != nil { scratch.cappedLogits.copyValues(of: scratch.logits) }
                scratch.crossEntropy.take(&scratch.logits, from: tokens.lowerBound)
                guard wantsGradients else { continue }
                if let cap = head.cap { scratch.logits.applySoftCapGradient(capped: scratch.cappedLogits, cap: cap) }
                let isFirst = tokens.lowerBound == 0
                if !isFirst { scratch.hiddenGradients.scaleRows(from: start, by: scratch.crossEntropy.scales) }
                scratch.hiddenGradients.setBlock(
                    row: start, column: 0, toProduct: scratch.logits.slice, head.weight[rows: tokens], adding: !isFirst)
            }
            for (row, loss) in zip(rows, scratch.crossEntropy.losses) { result.losses[positions[row]] = loss }
            guard wantsGradients else { continue }
            scratch.labelRows.gatherRows(labels.map(Int.init), of: head.weight)
            scratch.hiddenGradients.addRows(
                from: start, of: scratch.labelRows,
                scaledBy: zip(scratch.crossEntropy.others, scratch.crossEntropy.labelLogits).map { others, logit in
                    -others * (head.cap.map { 1 - (logit / $0) * (logit / $0) } ?? 1)
                })
            scratch.hiddenGradients.scaleRows(from: start, by: scratch.crossEntropy.reciprocals)
        }
    }

    /// The vocabulary in parts of about equal size.
    static func parts(of vocabulary: Int) -> [Range<Int>] {
        let count = (vocabulary + part.tokens - 1) / part.tokens
        let each = (vocabulary + max(count, 1) - 1) / max(count, 1)
        let step = max((each + tokenStep - 1) / tokenStep * tokenStep, tokenStep)
        return stride(from: 0, to: vocabulary, by: step).map { $0..<min($0 + step, vocabulary) }
    }
}

/// Turns hidden states into logits.
struct OutputHead {
    /// vocabulary × width
    let weight: Factor
    /// 1 × vocabulary
    let bias: Matrix?
    /// Logits become `cap · tanh(x / cap)`.
    let cap: Float?

    /// Computes the logits, rows × vocabulary, of hidden states after the last normalisation.
    func formLogits(of hidden: MatrixSlice, into logits: inout Matrix) {
        formLogits(of: hidden, tokens: 0..<weight.rows, into: &logits)
    }

    /// Computes the logits of some tokens only: rows × tokens.
    func formLogits(of hidden: MatrixSlice, tokens: Range<Int>, into logits: inout Matrix) {
        logits.formProduct(hidden, weight[rows: tokens].transposed)
        if let bias { logits.addToRows(bias[columns: tokens]) }
        if let cap { logits.applySoftCap(cap) }
    }
}

extension Matrix {
    /// Replaces each row by its softmax.
    mutating func applySoftmax() {
        // With a limit of all columns, the causal softmax is that of whole rows.
        applyCausalSoftmax(scale: 1, firstLimit: columns)
    }
}
