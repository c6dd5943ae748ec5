import Curvature
import Files
import Sequences

/// Keeps the scores of a query batch while its sweeps are under way, so that a process that dies loses only the last few seconds.
///
/// Scores are kept under names made from everything that they depend on, the query and the sequence, and not by their position in a sweep.
/// They stay valid if the corpus or the batch changes meanwhile. Called from several threads at a time.
public protocol SweepCheckpoint: Sendable {
    /// The scores that were kept for a sequence, one per query, in order; `nil` unless there is a score for every query.
    func scores(of sequence: ContentKey, for queries: [ContentKey]) -> [SequenceScore]?

    /// Keeps the scores of one micro-batch, all of them or none.
    func keep(_ rows: [ScoredSequence], for queries: [ContentKey])
}

/// A sequence and its scores, one per query.
public struct ScoredSequence: Sendable, Equatable {
    public var sequence: ContentKey
    public var scores: [SequenceScore]
}

/// Names a query or a sequence by half of the SHA-256 digest of all that its scores depend on.
public struct ContentKey: Sendable, Hashable {
    let high: UInt64
    let low: UInt64
}

extension ContentKey {
    init(_ digest: ContentDigest) {
        let bytes = digest.bytes
        high = bytes[..<8].reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Names a sequence by its tokens, and by which of them carry loss if some do not.
    init(sequence: TrainingSequence) {
        var digest = ContentDigest()
        digest.update(sequence.tokens)
        if let spans = sequence.loss.spans {
            digest.update(counted: "loss")
            digest.update(spans.flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] })
        }
        self.init(digest)
    }

    /// The key of a query before which this many equal queries come in its batch.
    fileprivate func repeated(_ count: Int) -> ContentKey {
        guard count > 0 else { return self }
        var digest = ContentDigest()
        for part in [high, low, UInt64(count)] { digest.update(part) }
        return ContentKey(digest)
    }
}

extension [ContentKey] {
    /// The same keys, with each repeated key replaced by one of its own: equal queries in one batch can have scores that differ in their
    /// last bits.
    func distinguishingRepeated() -> [ContentKey] {
        var counts: [ContentKey: Int] = [:]
        return map { key in
            defer { counts[key, default: 0] += 1 }
            return key.repeated(counts[key] ?? 0)
        }
    }
}

extension ContentDigest {
    /// Takes the number of tokens, and then the tokens.
    mutating func update(_ tokens: [Int32]) {
        update(UInt64(tokens.count))
        update(tokens.littleEndianBytes)
    }

    /// Takes the length of a text, and then the text.
    mutating func update(counted text: String) {
        update(UInt64(text.utf8.count))
        update(text)
    }
}

extension EKFACFactors {
    /// The digest of the model, the factors and the layers that they track, on which every score depends.
    ///
    /// In addition to their provenance, which factors of other programs lack, the digest covers the factors by the default damping of each
    /// layer.
    func scoringDigest(modelDigest: String) -> ContentDigest {
        var digest = ContentDigest()
        digest.update(counted: modelDigest)
        for text in [provenance.fisher.rawValue, provenance.model ?? "", provenance.corpus ?? "", provenance.program] {
            digest.update(counted: text)
        }
        digest.update(UInt64(provenance.sequences))
        digest.update(provenance.seed ?? 0)
        digest.update(UInt64(provenance.largestBlock ?? 0))
        for (layer, factors) in zip(tracked.layers, layers) {
            digest.update(counted: layer.name)
            digest.update(factors.defaultDamping.bitPattern)
        }
        return digest
    }
}
