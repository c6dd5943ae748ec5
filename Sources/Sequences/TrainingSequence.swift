/// A training sequence as the model reads it, with the tokens on which training took its loss.
public struct TrainingSequence: Sendable, Hashable {
    public var tokens: [Int32]
    public var loss: LossMask

    public init(tokens: [Int32], loss: LossMask = .all) {
        self.tokens = tokens
        self.loss = loss
    }

    /// The number of its tokens.
    public var count: Int { tokens.count }

    /// The number of tokens whose loss counts: those in the mask, without the first, which nothing predicts.
    public var lossTokens: Int { loss.count(within: 1..<max(tokens.count, 1)) }
}

/// Which tokens of a training sequence carry loss: `m` in `L(z) = -Σ m_i log p(t_i | t_<i)`, over i ≥ 2.
///
/// A token with loss is one that training asked the model to predict. Tokens without loss are only read; their positions still receive
/// gradients from later tokens, through attention.
public struct LossMask: Sendable, Hashable {
    /// The indices of the tokens with loss as ascending ranges that neither overlap nor touch; nil if all tokens carry loss.
    public let spans: [Range<Int>]?

    /// Every token carries loss, as in plain text.
    public static let all = LossMask(unchecked: nil)

    private init(unchecked spans: [Range<Int>]?) { self.spans = spans }

    /// - Parameter spans: The indices of the tokens with loss, in any order; ranges can overlap.
    public init(_ spans: [Range<Int>]) {
        var merged: [Range<Int>] = []
        for span in spans.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, span.lowerBound <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, span.upperBound)
            } else {
                merged.append(span)
            }
        }
        self.spans = merged
    }

    /// - Parameter carriesLoss: For each token, whether it carries loss.
    public init(_ carriesLoss: some Sequence<Bool>) {
        var spans: [Range<Int>] = []
        for (index, carries) in carriesLoss.enumerated() where carries {
            if let last = spans.last, last.upperBound == index {
                spans[spans.count - 1] = last.lowerBound..<(index + 1)
            } else {
                spans.append(index..<(index + 1))
            }
        }
        self.spans = spans
    }

    public var isAll: Bool { spans == nil }

    /// Whether the token with this index carries loss.
    public subscript(index: Int) -> Bool { count(within: index..<(index + 1)) == 1 }

    /// How many tokens with these indices carry loss.
    public func count(within range: Range<Int>) -> Int {
        guard let spans else { return range.count }
        return spans.reduce(0) { $0 + $1.clamped(to: range).count }
    }

    /// The mask of the tokens in a range, counted from the start of the range.
    public func part(_ range: Range<Int>) -> LossMask {
        guard let spans else { return .all }
        let kept = spans.map { $0.clamped(to: range) }.filter { !$0.isEmpty }
        return LossMask(kept.map { ($0.lowerBound - range.lowerBound)..<($0.upperBound - range.lowerBound) })
    }

    /// The mask after this many tokens without loss were put in front.
    public func behind(_ count: Int) -> LossMask {
        guard let spans else { return .all }
        return LossMask(unchecked: spans.map { ($0.lowerBound + count)..<($0.upperBound + count) })
    }
}
