import Attribution
import Foundation
import LinearAlgebra

/// How much of the positive influence on a query comes from few sequences.
public struct InfluenceConcentration: Sendable, Codable, Equatable {
    public var sequences: Int
    /// How many sequences have positive influence.
    public var positive: Int
    public var shares: [Share]

    public struct Share: Sendable, Codable, Equatable {
        /// The sequences with the highest scores, as a share of all sequences.
        public var top: Double
        /// How many sequences these are.
        public var count: Int
        /// Their share of the sum of all positive scores.
        public var ofInfluence: Double
    }

    static let tops = [0.0001, 0.001, 0.01]

    /// - Parameter scores: The scores of all sequences.
    init(of scores: [Double]) {
        sequences = scores.count
        let positive = scores.filter { $0 > 0 }.sorted(by: >)
        self.positive = positive.count
        let total = positive.reduce(0, +)
        shares = Self.tops.map { top in
            let count = max(1, Int((top * Double(scores.count)).rounded()))
            let sum = positive.prefix(count).reduce(0, +)
            return Share(top: top, count: count, ofInfluence: total > 0 ? sum / total : 0)
        }
    }
}

/// In which blocks the influence on queries of one kind lies.
public struct InfluenceByBlock: Sendable, Codable, Equatable {
    /// Such as "memorised".
    public var kind: String
    public var queries: Int
    /// Each block's share of the positive influence, from the lowest: means over queries, with their bootstrap intervals.
    public var shares: [Estimate]
    /// The mean position of the influence, from 0 at the lowest block to 1 at the highest.
    public var meanDepth: Estimate?

    /// - Parameter shares: Each query's kind, with one share per block.
    static func byKind(_ shares: [(kind: String, shares: [Double])], seed: UInt64) -> [InfluenceByBlock] {
        var order: [String] = []
        for entry in shares where !order.contains(entry.kind) { order.append(entry.kind) }
        let bootstrap = Bootstrap(seed: seed)
        return order.map { kind in
            let own = shares.filter { $0.kind == kind }.map(\.shares)
            let blocks = own.first?.count ?? 0
            let depths = own.map { shares in
                shares.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } / Double(max(blocks - 1, 1))
            }
            return InfluenceByBlock(
                kind: kind, queries: own.count,
                shares: (0..<blocks).compactMap { block in bootstrap.mean(of: own.map { $0[block] }) },
                meanDepth: bootstrap.mean(of: depths))
        }
    }
}

enum BlockNumber {
    /// The first number in a layer's name, as in "model.layers.3.mlp.up_proj".
    static func of(_ name: String) -> Int? { name.split(separator: ".").lazy.compactMap { Int($0) }.first }
}

/// How much lexical overlap queries have with their top sequences, in one model.
///
/// The larger a model, the less lexical overlap its influential sequences have with the query (Grosse et al. 2023, section 5.3.1).
public struct InfluenceAbstraction: Sendable, Codable, Equatable {
    public var subject: EvaluatedSubject
    /// The share of a query's distinct tokens that a top sequence also has; the mean over queries and sequences.
    public var tokenOverlap: Estimate?
    /// The share of top sequences in another language than the most frequent one among them, by identifiers such as "fr:Paris";
    /// `nil` if identifiers have no language.
    public var crossLingualShare: Estimate?

    init(subject: EvaluatedSubject, queries: [(tokens: [Int32], top: [(id: String, tokens: [Int32])])], seed: UInt64) {
        self.subject = subject
        let bootstrap = Bootstrap(seed: seed)
        tokenOverlap = bootstrap.mean(
            of: queries.filter { !$0.top.isEmpty }.map { query in
                let own = Set(query.tokens)
                let shares = query.top.map { Double(own.intersection($0.tokens).count) / Double(own.count) }
                return shares.reduce(0, +) / Double(shares.count)
            })
        crossLingualShare = bootstrap.mean(
            of: queries.compactMap { query in
                let languages = query.top.compactMap { Self.language(of: $0.id) }
                guard !languages.isEmpty else { return nil }
                let counts = Dictionary(grouping: languages) { $0 }.mapValues(\.count)
                return 1 - Double(counts.values.max() ?? 0) / Double(languages.count)
            })
    }

    /// The two letters before a colon.
    static func language(of id: String) -> String? {
        let parts = id.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, parts[0].count == 2, parts[0].allSatisfy({ $0.isASCII && $0.isLowercase }) else {
            return nil
        }
        return String(parts[0])
    }
}

/// The influence of texts of several kinds on queries.
public struct GivenTextScores: Sendable, Codable, Equatable {
    public var questions: [Question]
    /// One entry per kind, in the order in which the kinds first occur.
    public var kinds: [Kind]

    public struct Question: Sendable, Codable, Equatable {
        public var query: EvaluationQuery
        public var texts: [Text]
    }

    public struct Text: Sendable, Codable, Equatable {
        public var kind: String
        public var text: String
        /// In nats, not divided by the number of sequences.
        public var score: Double
    }

    public struct Kind: Sendable, Codable, Equatable {
        public var kind: String
        /// Scores relative to the score of the question's first text: the mean over questions, with its bootstrap interval.
        public var relative: Estimate?
    }

    /// The influence of the last kind relative to the first; `nil` if there is only one kind.
    var relativeInfluenceOfLast: Estimate? { kinds.count > 1 ? kinds.last?.relative : nil }

    init(questions: [Question], seed: UInt64) {
        self.questions = questions
        var order: [String] = []
        for text in questions.flatMap(\.texts) where !order.contains(text.kind) { order.append(text.kind) }
        kinds = order.map { kind in
            let ratios = questions.flatMap { question -> [Double] in
                // A text that has no influence, or works against the completion, gives no ratio.
                guard let first = question.texts.first?.score, first > 0 else { return [] }
                return question.texts.filter { $0.kind == kind }.map { $0.score / first }
            }
            return Kind(kind: kind, relative: Bootstrap(seed: seed).mean(of: ratios))
        }
    }
}

extension PowerLawTail {
    /// How well the law describes the tail (Clauset et al. 2009, section 4): the share of samples that are farther from their own fits than
    /// these values are from theirs. Samples are drawn from the law above ``from``, and from the values themselves below. If the share is
    /// at most 0.1, the law is not credible. Its standard error is at most `1 / (2 √samples)`.
    ///
    /// - Parameters:
    ///   - values: The values to which the tail was fitted.
    ///   - samples: The number of samples, each as long as the values.
    ///   - seed: The same seed gives the same share.
    /// - Returns: From 0 to 1; nil if `samples` is not positive.
    /// - Complexity: One fit per sample.
    func goodnessOfFit(of values: [Double], samples: Int = 1_000, seed: UInt64 = 0) -> Double? {
        let logarithms = values.filter { $0 > 0 }.map { log($0) }
        let start = log(from)
        let body = logarithms.filter { $0 < start }
        guard samples > 0, !logarithms.isEmpty else { return nil }
        let inTail = Double(logarithms.count - body.count) / Double(logarithms.count)
        var random = SplitMix64(seed: seed)
        var farther = 0
        for _ in 0..<samples {
            let sample = logarithms.map { _ -> Double in
                let isOfTail = body.isEmpty || Double.random(in: 0..<1, using: &random) < inTail
                guard isOfTail else { return body[Int.random(in: body.indices, using: &random)] }
                return start - log(1 - Double.random(in: 0..<1, using: &random)) / (exponent - 1)
            }
            // A sample without a fit counts as infinitely far from its fit.
            let fit = PowerLawTail(descendingLogarithms: sample.sorted(by: >))
            if (fit?.distance ?? .infinity) >= distance { farther += 1 }
        }
        return Double(farther) / Double(samples)
    }
}
