import CVectorKernels
import Foundation

/// The cross-entropy of rows of logits that exist only in part at any time: a softmax whose maximum and sum are brought up to date part
/// by part (Milakov & Gimelshein 2018, arXiv 1805.02867).
///
/// With `m` the largest logit of a row so far, each part becomes `e_v = exp(logit_v - m)`, zero at the label. Sums over parts of
/// `e_v x_v`, for any `x`, are the caller's: before a part's share is added, what is there is to be multiplied by ``scales``. At the end
/// `S` is the sum of all `e_v`, and the softmax `p_v = e_v / (S + e_label)`.
public struct StreamedCrossEntropy: Sendable {
    private var labels: [Int32] = []
    private var maxima: [Float] = []
    /// The logit of each row's label.
    public private(set) var labelLogits: [Float] = []
    /// `S`, one a row.
    public private(set) var others: [Float] = []
    /// For each row `exp(m before - m)`: 1 where the last part has not raised the maximum.
    public private(set) var scales: [Float] = []

    public init() {}

    /// Starts with rows of which no part was seen.
    ///
    /// - Parameter labels: One a row, columns that some part will have.
    public mutating func start(labels: [Int32]) {
        self.labels = labels
        maxima.refill(with: -.greatestFiniteMagnitude, count: labels.count)
        labelLogits.refill(with: -.greatestFiniteMagnitude, count: labels.count)
        others.refill(with: 0, count: labels.count)
        scales.refill(with: 1, count: labels.count)
    }

    /// Takes the next part: it becomes `e_v`.
    ///
    /// - Parameters:
    ///   - part: rows × some columns.
    ///   - first: Which column of all is the part's first.
    public mutating func take(_ part: inout Matrix, from first: Int) {
        precondition(part.rows == labels.count && part.columns > 0, "\(part.rows) rows for \(labels.count) labels")
        tributary_streamed_softmax(
            part.uniquePointer(), part.columns, labels, Int32(first), &maxima, &others, &labelLogits, &scales,
            part.rows, part.columns)
    }

    /// `-log p_label`, one a row, in nats.
    public var losses: [Float] {
        labels.indices.map { row in
            let excess = labelLogits[row] - maxima[row]
            // The first loses nothing of a small loss; its quotient must not overflow.
            return excess > -60 ? log1p(others[row] / exp(excess)) : log(others[row] + exp(excess)) - excess
        }
    }

    /// `1 / (S + e_label)`, one a row.
    public var reciprocals: [Float] {
        labels.indices.map { 1 / (others[$0] + exp(labelLogits[$0] - maxima[$0])) }
    }
}

extension [Float] {
    /// Becomes so many equal values, in the memory that is there.
    fileprivate mutating func refill(with value: Float, count: Int) {
        removeAll(keepingCapacity: true)
        append(contentsOf: repeatElement(value, count: count))
    }
}
