import LinearAlgebra
import Sequences

/// A micro-batch: sequences packed one after another, with the label of each position.
///
/// Nothing is padded: linear layers see all tokens as one matrix, and only attention knows where each sequence starts.
public struct TokenBatch: Sendable {
    /// The target of positions without loss.
    public static let noTarget: Int32 = -1

    public private(set) var tokens: [Int32] = []
    /// The position of each token in its own sequence.
    public private(set) var positions: [Int32] = []
    /// The rows of each sequence.
    public private(set) var sequences: [Range<Int>] = []
    /// The token to predict at each position, or ``noTarget``.
    public private(set) var targets: [Int32] = []
    /// One value in [0, 1) per position if labels are sampled; empty otherwise.
    public private(set) var uniforms: [Float] = []

    public init() {}

    /// How the labels of a sequence are chosen.
    public enum Labels: Sendable {
        /// The sequence's own next tokens: the training loss `L(z) = -Σ log p(t_i | t_<i)` over i ≥ 2.
        case nextTokens
        /// Its own tokens from the given index on: the measurement of a query whose completion starts there.
        case nextTokensFrom(Int)
        /// Tokens drawn from the model's own output distribution, for the true Fisher. They depend only on seed, key and position, not on
        /// how sequences are packed.
        case sampled(seed: UInt64, key: UInt64)
        /// Entry i replaces token i; negative entries carry no loss.
        case given([Int32])
    }

    /// Appends a training sequence. Its tokens without loss have no labels.
    public mutating func append(_ sequence: TrainingSequence, labels: Labels = .nextTokens) {
        append(sequence.tokens, labels: labels)
        guard let spans = sequence.loss.spans else { return }
        let start = targets.count - sequence.count
        var position = start
        for span in spans {
            // The label of a token belongs to the position before it.
            let first = max(start + span.lowerBound - 1, position)
            for index in position..<min(first, targets.count) { targets[index] = Self.noTarget }
            position = max(position, min(start + span.upperBound - 1, targets.count))
        }
        for index in position..<targets.count { targets[index] = Self.noTarget }
    }

    /// Appends one more sequence.
    ///
    /// - Parameter position: The position of the first token, if an earlier pass has read the tokens before it.
    public mutating func append(_ sequence: [Int32], labels: Labels = .nextTokens, from position: Int = 0) {
        let start = tokens.count
        let count = sequence.count
        tokens += sequence
        positions += (0..<count).map { Int32(position + $0) }
        sequences.append(start..<(start + count))
        guard count > 0 else { return }
        var following = [Int32](repeating: Self.noTarget, count: count)
        switch labels {
        case .nextTokens, .sampled:
            for position in 0..<(count - 1) { following[position] = sequence[position + 1] }
        case .nextTokensFrom(let first):
            for position in max(0, first - 1)..<max(count - 1, first - 1, 0) {
                following[position] = sequence[position + 1]
            }
        case .given(let labels):
            for position in 0..<(count - 1) where position + 1 < labels.count && labels[position + 1] >= 0 {
                following[position] = labels[position + 1]
            }
        }
        targets += following
        if case .sampled(let seed, let key) = labels {
            uniforms += [Float](repeating: 0, count: start - uniforms.count)
            uniforms += (0..<count).map { SplitMix64.uniform(seed: seed, keys: key, UInt64($0)) }
        }
    }

    /// Whether labels are sampled from the model. A micro-batch samples either all its labels or none.
    public var samplesLabels: Bool { !uniforms.isEmpty }

    /// One more than the largest position.
    var positionCount: Int { positions.reduce(0) { max($0, Int($1) + 1) } }

    /// The positions that carry loss.
    public var lossPositions: [Int] { targets.indices.filter { targets[$0] != Self.noTarget } }
}
