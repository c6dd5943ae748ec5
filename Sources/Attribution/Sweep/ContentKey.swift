import Curvature
import Files
import Foundation

/// Names a query or a sequence by what it is: half of the SHA-256 digest of all that its scores depend on.
public struct ContentKey: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ digest: ContentDigest) {
        let bytes = digest.bytes
        high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A sequence, by its tokens.
    init(sequence tokens: [Int32]) {
        var digest = ContentDigest()
        digest.update(tokens)
        self.init(digest)
    }

    /// Another key, for the query that this one already names another of.
    fileprivate func repeated(_ count: Int) -> ContentKey {
        guard count > 0 else { return self }
        var digest = ContentDigest()
        for part in [high, low, UInt64(count)] { digest.update(part) }
        return ContentKey(digest)
    }
}

extension [ContentKey] {
    /// The same, each key that comes again made another one: the scores of queries that are the same in everything can differ in their
    /// last bits, as products of a batch have them.
    func distinguishingRepeated() -> [ContentKey] {
        var counts: [ContentKey: Int] = [:]
        return map { key in
            defer { counts[key, default: 0] += 1 }
            return key.repeated(counts[key] ?? 0)
        }
    }
}

extension ContentDigest {
    /// Takes tokens, their number first.
    mutating func update(_ tokens: [Int32]) {
        update(UInt64(tokens.count))
        update(tokens.littleEndianBytes)
    }

    /// Takes text, its length first.
    mutating func update(counted text: String) {
        update(UInt64(text.utf8.count))
        update(text)
    }
}

extension InfluenceEngine {
    /// The digest of what every query's scores depend on: the model, the factors and the layers they track.
    ///
    /// The mean eigenvalue of each layer stands for the factors beside their provenance, which other programs' factors lack.
    func scoringDigest() -> ContentDigest {
        var digest = Self.scoringDigest(modelDigest: modelDigest, factors: factors)
        if precision != .float32 { digest.update(counted: precision.rawValue) }
        return digest
    }

    static func scoringDigest(modelDigest: String, factors: EKFACFactors) -> ContentDigest {
        var digest = ContentDigest()
        digest.update(counted: modelDigest)
        let provenance = factors.provenance
        for text in [provenance.fisher.rawValue, provenance.model ?? "", provenance.corpus ?? "", provenance.program] {
            digest.update(counted: text)
        }
        digest.update(UInt64(provenance.sequences))
        digest.update(provenance.seed ?? 0)
        digest.update(UInt64(provenance.largestBlock ?? 0))
        for (layer, factors) in zip(factors.tracked.layers, factors.layers) {
            digest.update(counted: layer.name)
            digest.update(factors.defaultDamping.bitPattern)
        }
        return digest
    }

    /// Names a query as a sweep scores it.
    ///
    /// - Parameters:
    ///   - corpusSequences: How many sequences the corpus had when the query was solved.
    ///   - base: ``scoringDigest()``
    func key(
        of query: InfluenceQuery, _ tokenized: TokenizedQuery, breakdown: CandidateSweep.Breakdown,
        corpusSequences: Int, base: ContentDigest
    ) -> ContentKey {
        var digest = base
        digest.update(tokenized.completion.tokens)
        digest.update(UInt64(tokenized.completion.completionStart))
        if let measured = tokenized.measured {
            digest.update(counted: "measured")
            digest.update(measured.map(Int32.init))
        }
        if let contrast = tokenized.contrast {
            digest.update(counted: "contrast")
            digest.update(contrast.tokens)
            digest.update(UInt64(contrast.completionStart))
        }
        switch query.rank {
        case .full: digest.update(0 as UInt64)
        case .limited(let rank): digest.update(UInt64(rank))
        }
        digest.update(query.damping?.bitPattern ?? 0)
        digest.update(query.estimator, astra, corpusSequences: corpusSequences)
        digest.update(UInt64(breakdown.rawValue))
        return ContentKey(digest)
    }
}
