import Corpus
import Curvature
import Dispatch
import Files
import Foundation
import LinearAlgebra
import Sequences
import Synchronization
import Transformer

/// Holds a corpus's compressed gradients, memory-mapped, and finds the sequences of largest estimated influence in one pass over them.
///
/// TF-IDF finds sequences that share tokens with a query. The index finds sequences that move the model as the query does, even without
/// lexical overlap. Its estimates are good enough to choose candidates, which are then scored exactly.
public final class GradientIndex: Sendable {
    public let layout: SketchLayout
    private let file: GradientIndexFile
    private let sketch: GradientSketch
    /// Guards the set of indexed records. A search goes on with the records with which it began.
    private let state: Mutex<(records: Data, sequences: Int)>
    /// Lets one extension at a time write to the file.
    private let writing = DispatchSemaphore(value: 1)

    /// Records that a worker compares at a time, few enough to stay in its cache for all queries.
    private static let block = 256
    /// Sequences between two writes.
    private static let round = 512

    /// Opens an index.
    ///
    /// - Throws: ``GradientIndexError``, also for an index of another model, other factors or another corpus.
    public convenience init(path: String, modelDigest: String, factors: EKFACFactors, corpus: CorpusStore) throws {
        guard GradientIndexFile.exists(at: path) else { throw GradientIndexError.missing(file: path) }
        let (file, sequences) = try GradientIndexFile.open(path)
        let identity = factors.scoringDigest(modelDigest: modelDigest).bytes
        guard file.identity == identity, file.layers == factors.layers.count else {
            throw GradientIndexError.ofOtherFactors(file: path)
        }
        try self.init(file, sequences: sequences, factors: factors)
        try checkCorpus(corpus)
    }

    /// Makes an index without sequences, in place of any file at the path.
    public static func create(
        path: String, layout: SketchLayout, modelDigest: String, factors: EKFACFactors
    ) throws -> GradientIndex {
        let file = GradientIndexFile(
            path: path, layout: layout, layers: factors.layers.count,
            identity: factors.scoringDigest(modelDigest: modelDigest).bytes)
        try file.create()
        return try GradientIndex(file, sequences: 0, factors: factors)
    }

    private init(_ file: GradientIndexFile, sequences: Int, factors: EKFACFactors) throws {
        self.file = file
        layout = file.layout
        sketch = GradientSketch(factors: factors, layout: file.layout)
        state = Mutex((try file.map(sequences: sequences), sequences))
    }

    /// How many of the corpus's first sequences are indexed.
    public var sequences: Int { state.withLock { $0.sequences } }

    /// Bytes of one sequence's record.
    public var recordBytes: Int { file.recordBytes }

    /// Checks that some sequences of the corpus, evenly spread, are those that were indexed.
    private func checkCorpus(_ corpus: CorpusStore) throws {
        let (records, count) = state.withLock { $0 }
        guard count > 0 else { return }
        guard try corpus.statistics().sequences >= count else {
            throw GradientIndexError.ofAnotherCorpus(file: file.path, sequence: Int64(count))
        }
        let rowids = Set((0...16).map { Int64(1 + $0 * (count - 1) / 16) }).sorted()
        for (rowid, sequence) in zip(rowids, try corpus.trainingSequences(rowids: rowids)) {
            var reader = LittleEndianReader(records, at: Int(rowid - 1) * file.recordBytes)
            guard reader.number(UInt32.self) == GradientIndexFile.hash(of: sequence) else {
                throw GradientIndexError.ofAnotherCorpus(file: file.path, sequence: rowid)
            }
        }
    }

    // MARK: - Extending

    /// Indexes the sequences of the corpus that are not indexed yet, with one forward and backward pass each.
    ///
    /// Each round is kept as soon as it is done, so that an extension that ends early resumes where it was. Several extensions can run at a
    /// time, and none waits for another's computation. Each starts a round from the sequences that are indexed by then, and drops the
    /// remainder of a round that another extension has indexed meanwhile. This wastes part of a round, but an extension whose `step` blocks
    /// never delays another.
    ///
    /// - Parameters:
    ///   - progress: Receives how many sequences are indexed, and how many will be.
    ///   - step: Called before each round, and before each micro-batch on the thread that computes it; what it throws ends the
    ///     extension.
    /// - Throws: ``GradientIndexError``, or the error of reading the corpus.
    public func extend(
        to total: Int, of corpus: CorpusStore, decoder: DecoderModel, workers: Workers, batchTokens: Int? = nil,
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }, step: @Sendable () throws -> Void = {}
    ) throws {
        let slots = (0..<workers.count).map { _ in WorkerSlot(Sketcher(tap: SketchTap(sketch))) }
        while true {
            let done = sequences
            progress(min(done, total), total)
            guard done < total else { return }
            try step()
            let rowids = Array(Int64(done + 1)...Int64(min(done + Self.round, total)))
            let sequences = try corpus.trainingSequences(rowids: rowids)
            let batches = Self.batches(sequences, upTo: batchTokens ?? decoder.microBatchTokens)
            let records = try workers.map(batches.indices) { worker, index in
                try step()
                // Another extension has indexed this round: the remainder of it would be wasted.
                guard self.sequences == done else { return [UInt8]() }
                return slots[worker].withState { $0.records(of: sequences[batches[index]], decoder, file) }
            }
            try add(Array(records.joined()), behind: done)
        }
    }

    private struct Sketcher: Sendable {
        var workspace = DecoderWorkspace()
        var tap: SketchTap

        /// The records of a micro-batch's sequences, one after another.
        mutating func records(
            of sequences: ArraySlice<TrainingSequence>, _ decoder: DecoderModel, _ file: GradientIndexFile
        ) -> [UInt8] {
            var batch = TokenBatch()
            for sequence in sequences { batch.append(sequence) }
            decoder.run(batch, in: &workspace, tracked: tap.tracked, tap: &tap)
            return zip(sequences, tap.records).flatMap { file.record(of: $0, sketch: $1) }
        }
    }

    /// Writes a round's records after those of the first `start` sequences, unless another extension has written them.
    ///
    /// Extensions write one after the other. A writer calls no closures and waits only for the disk, so that all others get their turn.
    private func add(_ records: [UInt8], behind start: Int) throws {
        writing.wait()
        defer { writing.signal() }
        guard sequences == start else { return }
        try file.append(records, behind: start)
        let end = start + records.count / file.recordBytes
        let mapped = try file.map(sequences: end)
        state.withLock { $0 = (mapped, end) }
    }

    private static func batches(_ sequences: [TrainingSequence], upTo limit: Int) -> [Range<Int>] {
        var batches: [Range<Int>] = []
        var start = 0
        var count = 0
        for (index, sequence) in sequences.enumerated() {
            if index > start, count + sequence.count > limit {
                batches.append(start..<index)
                (start, count) = (index, 0)
            }
            count += sequence.count
        }
        if start < sequences.count { batches.append(start..<sequences.count) }
        return batches
    }

    // MARK: - Searching

    /// A query as the index searches for it.
    public struct Query: Sendable {
        let vector: SignSketch.Query
        let limit: Int
        let direction: InfluenceQuery.Direction
        let overlap: LexicalOverlap?
        /// The ranges of rowids to search in; `nil` for all.
        let within: [ClosedRange<Int64>]?
    }

    /// - Parameters:
    ///   - limit: How many sequences to find, in all directions together.
    ///   - overlap: If given, the lexical overlap that corrects the estimates, as in ``CombinedScores``.
    public func query(
        _ gradient: QueryGradient, damping: Double?, limit: Int, direction: InfluenceQuery.Direction,
        overlap: LexicalOverlap? = nil, within: [ClosedRange<Int64>]? = nil
    ) -> Query {
        Query(
            vector: sketch.query(gradient, damping: damping), limit: limit, direction: direction, overlap: overlap,
            within: within)
    }

    /// The most memory that one pass takes for estimates that are kept until its end.
    private static let estimateBytes = 1 << 30

    /// The sequences of largest estimated influence in each query's direction; half of them in each direction if it is both.
    ///
    /// - Parameter count: Only this many first sequences of the corpus are searched.
    /// - Returns: For each query its rowids, ascending.
    /// - Complexity: One pass over the index. A query with lexical overlap keeps an estimate of four bytes per sequence until the end of
    ///   the pass. If these would take more than a gibibyte together, there are several passes.
    public func search(_ queries: [Query], asOf count: Int, workers: Workers) throws -> [[Int64]] {
        let (records, indexed) = state.withLock { $0 }
        let sequences = min(indexed, count)
        let (plain, combined) = (
            queries.indices.filter { queries[$0].overlap == nil },
            queries.indices.filter { queries[$0].overlap != nil }
        )
        let most = max(1, Self.estimateBytes / max(1, sequences * MemoryLayout<Float>.stride))
        let groups = stride(from: 0, to: combined.count, by: most).map {
            Array(combined[$0..<min($0 + most, combined.count)])
        }
        var found = [[Int64]](repeating: [], count: queries.count)
        // Queries without lexical overlap keep no estimates: all of them join the first pass.
        for group in [plain + (groups.first ?? [])] + groups.dropFirst() {
            let rowids = try pass(over: records, sequences, for: group.map { queries[$0] }, workers)
            for (query, own) in zip(group, rowids) { found[query] = own }
        }
        return found
    }

    private func pass(
        over records: Data, _ sequences: Int, for queries: [Query], _ workers: Workers
    ) throws -> [[Int64]] {
        let blocks = (sequences + Self.block - 1) / Self.block
        // Enough chunks that all workers end at about the same time, and few enough lists to merge.
        let chunks = min(blocks, workers.count * 8)
        let found = try workers.map(0..<chunks) { _, chunk in
            var best = queries.map { DirectedMatches($0, of: sequences) }
            let first = chunk * blocks / chunks * Self.block
            var estimates = queries.map { _ in Estimates.Part(start: first) }
            var scores: [Float] = []
            for block in (chunk * blocks / chunks)..<((chunk + 1) * blocks / chunks) {
                let range = (block * Self.block)..<min((block + 1) * Self.block, sequences)
                let bytes = records.bytes.extracting(
                    (range.lowerBound * file.recordBytes)..<(range.upperBound * file.recordBytes))
                for index in queries.indices {
                    // A record's sketch follows the hash of its tokens.
                    sketch.signs.scores(
                        of: bytes, stride: file.recordBytes, with: queries[index].vector, into: &scores)
                    if queries[index].overlap == nil {
                        best[index].insert(scores, firstRowid: Int64(range.lowerBound) + 1)
                    } else {
                        estimates[index].append(scores)
                    }
                }
            }
            return (best: best, estimates: estimates)
        }
        return try workers.map(queries.indices) { _, index in
            var merged = DirectedMatches(queries[index], of: sequences)
            for chunk in found { merged.insert(chunk.best[index]) }
            if let overlap = queries[index].overlap {
                let search = CombinedSearch(
                    estimates: Estimates(parts: found.map { $0.estimates[index] }, count: sequences), overlap: overlap)
                try search.insert(into: &merged, for: queries[index])
            }
            return merged.rowids
        }
    }
}

/// Why a gradient index cannot be used or made.
public enum GradientIndexError: Error, Equatable, CustomStringConvertible {
    case missing(file: String)
    case unreadable(file: String, reason: String)
    case damaged(file: String, reason: String)
    case otherVersion(file: String, found: Int)
    case cutShort(file: String, expected: Int, found: Int)
    case ofOtherFactors(file: String)
    case ofAnotherCorpus(file: String, sequence: Int64)
    case otherLayout(file: String, found: SketchLayout)
    case cannotWrite(file: String, reason: String)
    case interrupted(done: Int, total: Int)

    public var description: String {
        switch self {
        case .missing: "there is no gradient index yet: make it with \"tributary index\""
        case .unreadable(let file, let reason): "\(file): the gradient index cannot be read: \(reason)"
        case .damaged(let file, let reason):
            "\(file): this gradient index cannot be used: \(reason). \(Self.rebuild)"
        case .otherVersion(let file, let found):
            "\(file): the gradient index has format \(found), and this version reads format 1. \(Self.rebuild)"
        case .cutShort(let file, let expected, let found):
            "\(file): the gradient index is cut short: expected \(expected) bytes, found \(found). \(Self.rebuild)"
        case .ofOtherFactors(let file):
            "\(file): the gradient index was made with another model or other factors. \(Self.rebuild)"
        case .ofAnotherCorpus(let file, let sequence):
            "\(file): the gradient index is of another corpus: sequence \(sequence) differs. \(Self.rebuild)"
        case .otherLayout(let file, let found):
            "\(file): the gradient index has \(found.signs) signs per layer, of \(found.leading) leading directions. Leave the "
                + "options out to go on with these, or add --rebuild to make it again from scratch."
        case .cannotWrite(_, let reason):
            "the gradient index cannot be written: \(reason) Sequences that were indexed before are kept."
        case .interrupted(let done, let total):
            "interrupted at \(done) of \(total) sequences; run the same command again to go on from there"
        }
    }

    private static let rebuild = "Make it again with \"tributary index --rebuild\"."
}

/// Whether an engine has a gradient index, and if not, why.
public enum IndexAvailability: Sendable {
    case ready(GradientIndex)
    case missing
    case unusable(GradientIndexError)

    public var index: GradientIndex? {
        if case .ready(let index) = self { index } else { nil }
    }

    /// - Throws: ``QueryError/unusable(field:reason:)`` if there is none.
    func required() throws -> GradientIndex {
        switch self {
        case .ready(let index): return index
        case .missing:
            throw QueryError.unusable(
                field: "candidates.prefilter", reason: GradientIndexError.missing(file: "").description)
        case .unusable(let error): throw QueryError.unusable(field: "candidates.prefilter", reason: error.description)
        }
    }
}
