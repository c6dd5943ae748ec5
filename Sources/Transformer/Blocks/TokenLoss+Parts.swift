import LinearAlgebra

extension TokenLoss {
    /// Rows and tokens whose logits exist at a time: they stay in the processor's cache between what makes them and what reads them.
    static let part = (rows: 256, tokens: 2_048)
    /// The kernels of products like widths that are multiples of this.
    private static let tokenStep = 64

    /// With the logits of a part of all tokens at a time, of which softmax and gradients are found as they come. The labels are known.
    ///
    /// With `e` and `S` of ``StreamedCrossEntropy`` and the head's rows `w` a hidden state's gradient is
    /// `Σ_{v ≠ label} p_v (w_v - w_label) = (Σ_{v ≠ label} e_v w_v - S w_label) / (S + e_label)`: the label's own share is never the
    /// difference of its probability and 1. Where logits are capped, `w_v` counts by the derivative of its cap.
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

    /// All tokens, in parts of about one size.
    static func parts(of vocabulary: Int) -> [Range<Int>] {
        let count = (vocabulary + part.tokens - 1) / part.tokens
        let each = (vocabulary + max(count, 1) - 1) / max(count, 1)
        let step = max((each + tokenStep - 1) / tokenStep * tokenStep, tokenStep)
        return stride(from: 0, to: vocabulary, by: step).map { $0..<min($0 + step, vocabulary) }
    }
}
