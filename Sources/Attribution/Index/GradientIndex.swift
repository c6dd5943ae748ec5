import Corpus
import Curvature
import Dispatch
import Files
import Foundation
import LinearAlgebra
import Synchronization
import Transformer

/// A corpus's compressed gradients, memory-mapped: finds the sequences of largest estimated influence in one pass over them.
///
/// Where TF-IDF finds what shares words with a query, this finds what moves the model as the query does, in other words too. The
/// estimate is good enough to choose candidates, which are then scored exactly.
public final class GradientIndex: Sendable {
    public let layout: SketchLayout
    private let file: GradientIndexFile
    private let sketch: GradientSketch
    /// Guards which records are indexed. Searches go on with those that they began with.
    private let state: Mutex<(records: Data, sequences: Int)>
    /// Whose turn it is to write to the file.
    private let writing = DispatchSemaphore(value: 1)

    /// Records that a worker compares at a time: they stay in its cache for all queries.
    private static let block = 256
    /// Sequences between two writes.
    private static let round = 512

    /// Opens an index.
    ///
    /// - Throws: ``GradientIndexError``, also for an index of another model, other factors or another corpus.
    public convenience init(path: String, modelDigest: String, factors: EKFACFactors, corpus: CorpusStore) throws {
        guard GradientIndexFile.exists(at: path) else { throw GradientIndexError.missing(file: path) }
        let (file, sequences) = try GradientIndexFile.open(path)
        let identity = InfluenceEngine.scoringDigest(modelDigest: modelDigest, factors: factors).bytes
        guard file.identity == identity, file.layers == factors.layers.count else {
            throw GradientIndexError.ofOtherFactors(file: path)
        }
        try self.init(file, sequences: sequences, factors: factors)
        try checkCorpus(corpus)
    }

    /// Makes an index without sequences in the place of whatever is there.
    public static func create(
        path: String, layout: SketchLayout, modelDigest: String, factors: EKFACFactors
    ) throws -> GradientIndex {
        let file = GradientIndexFile(
            path: path, layout: layout, layers: factors.layers.count,
            identity: InfluenceEngine.scoringDigest(modelDigest: modelDigest, factors: factors).bytes)
        try file.create()
        return try GradientIndex(file, sequences: 0, factors: factors)
    }

    private init(_ file: GradientIndexFile, sequences: Int, factors: EKFACFactors) throws {
        self.file = file
        layout = file.layout
        sketch = GradientSketch(factors: factors, layout: file.layout)
        state = Mutex((try file.map(sequences: sequences), sequences))
    }

    /// The sequences that are indexed, from the corpus's first.
    public var sequences: Int { state.withLock { $0.sequences } }

    /// Bytes of one sequence's record.
    public var recordBytes: Int { file.recordBytes }

    /// Looks at some sequences of the corpus, evenly spread, whether they are those that were indexed.
    private func checkCorpus(_ corpus: CorpusStore) throws {
        let (records, count) = state.withLock { $0 }
        guard count > 0 else { return }
        guard try corpus.statistics().sequences >= count else {
            throw GradientIndexError.ofAnotherCorpus(file: file.path, sequence: Int64(count))
        }
        let rowids = Set((0...16).map { Int64(1 + $0 * (count - 1) / 16) }).sorted()
        for (rowid, tokens) in zip(rowids, try corpus.tokens(rowids: rowids)) {
            var reader = LittleEndianReader(records, at: Int(rowid - 1) * file.recordBytes)
            guard reader.number(UInt32.self) == GradientIndexFile.hash(of: tokens) else {
                throw GradientIndexError.ofAnotherCorpus(file: file.path, sequence: rowid)
            }
        }
    }

    // MARK: - Extending

    /// Indexes the sequences of the corpus that are not yet, one forward and backward pass each.
    ///
    /// What is done is kept as it goes: an extension that ends early is taken up where it was. Several may run at a time, and none
    /// waits for another's computing: each goes on from what is indexed, and one that finds its round indexed by another drops the
    /// rest of it. That costs the round under way, and leaves nothing that an extension could hold back another with while its `step`
    /// makes it wait.
    ///
    /// - Parameters:
    ///   - progress: Receives how many sequences are indexed, of how many.
    ///   - step: Called before each round, and before each micro-batch on the thread that computes it; what it throws ends the
    ///     extension.
    /// - Throws: ``GradientIndexError``, or what reading the corpus threw.
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
            let tokens = try corpus.tokens(rowids: rowids)
            let batches = Self.batches(tokens, upTo: batchTokens ?? decoder.microBatchTokens)
            let records = try workers.map(batches.indices) { worker, index in
                try step()
                // Another extension has been here: the rest of the round is of no use.
                guard sequences == done else { return [UInt8]() }
                return slots[worker].withState { $0.records(of: tokens[batches[index]], decoder, file) }
            }
            try add(Array(records.joined()), behind: done)
        }
    }

    /// What a worker has from micro-batch to micro-batch.
    private struct Sketcher: Sendable {
        var workspace = DecoderWorkspace()
        var tap: SketchTap

        /// The records of a micro-batch's sequences, one behind the other.
        mutating func records(
            of sequences: ArraySlice<[Int32]>, _ decoder: DecoderModel, _ file: GradientIndexFile
        ) -> [UInt8] {
            var batch = TokenBatch()
            for sequence in sequences { batch.append(sequence) }
            decoder.run(batch, in: &workspace, tracked: tap.tracked, tap: &tap)
            return zip(sequences, tap.records).flatMap { file.record(of: $0, sketch: $1) }
        }
    }

    /// Writes a round's records behind the first so many sequences, unless another extension has.
    ///
    /// Extensions write one after the other. Whoever writes calls nobody and waits for the disk alone, so that those behind come to
    /// their turn whatever their callers do.
    private func add(_ records: [UInt8], behind start: Int) throws {
        writing.wait()
        defer { writing.signal() }
        guard sequences == start else { return }
        try file.append(records, behind: start)
        let end = start + records.count / file.recordBytes
        let mapped = try file.map(sequences: end)
        state.withLock { $0 = (mapped, end) }
    }

    private static func batches(_ tokens: [[Int32]], upTo limit: Int) -> [Range<Int>] {
        var batches: [Range<Int>] = []
        var start = 0
        var count = 0
        for (index, sequence) in tokens.enumerated() {
            if index > start, count + sequence.count > limit {
                batches.append(start..<index)
                (start, count) = (index, 0)
            }
            count += sequence.count
        }
        if start < tokens.count { batches.append(start..<tokens.count) }
        return batches
    }

    // MARK: - Searching

    /// What is looked for.
    public struct Query: Sendable {
        let vector: SignSketch.Query
        let limit: Int
        let direction: InfluenceQuery.Direction
        let words: SharedWords?
        /// Ranges of rowids that count; `nil` for all.
        let within: [ClosedRange<Int64>]?
    }

    /// - Parameters:
    ///   - limit: How many sequences to find, in all directions together.
    ///   - words: If given, what the estimates are corrected by, as ``CombinedScores`` says.
    public func query(
        _ gradient: QueryGradient, damping: Double?, limit: Int, direction: InfluenceQuery.Direction,
        words: SharedWords? = nil, within: [ClosedRange<Int64>]? = nil
    ) -> Query {
        Query(
            vector: sketch.query(gradient, damping: damping), limit: limit, direction: direction, words: words,
            within: within)
    }

    /// The most memory that the estimates of one pass may take that are kept until all of them are there.
    private static let estimateBytes = 1 << 30

    /// The sequences of largest estimated influence in each query's direction; for both, half of them in each.
    ///
    /// - Parameter count: The corpus is taken as it was when it had so many sequences.
    /// - Returns: For each query rowids, ascending.
    /// - Complexity: One pass over the index. Queries with words keep an estimate of four bytes a sequence until its end; where they
    ///   would take more than a gibibyte together, there are several passes.
    public func search(_ queries: [Query], asOf count: Int, workers: Workers) throws -> [[Int64]] {
        let (records, indexed) = state.withLock { $0 }
        let sequences = min(indexed, count)
        let (plain, combined) = (
            queries.indices.filter { queries[$0].words == nil }, queries.indices.filter { queries[$0].words != nil }
        )
        let most = max(1, Self.estimateBytes / max(1, sequences * MemoryLayout<Float>.stride))
        let groups = stride(from: 0, to: combined.count, by: most).map {
            Array(combined[$0..<min($0 + most, combined.count)])
        }
        var found = [[Int64]](repeating: [], count: queries.count)
        // Those without words keep nothing a sequence: they go along with the first.
        for group in [plain + (groups.first ?? [])] + groups.dropFirst() {
            let rowids = try pass(over: records, sequences, for: group.map { queries[$0] }, workers)
            for (query, own) in zip(group, rowids) { found[query] = own }
        }
        return found
    }

    /// One pass over the records.
    private func pass(
        over records: Data, _ sequences: Int, for queries: [Query], _ workers: Workers
    ) throws -> [[Int64]] {
        let blocks = (sequences + Self.block - 1) / Self.block
        // Enough pieces for the workers to be done together, and few enough lists to be merged.
        let pieces = min(blocks, workers.count * 8)
        let found = try workers.map(0..<pieces) { _, piece in
            var best = queries.map { DirectedMatches($0, of: sequences) }
            let first = piece * blocks / pieces * Self.block
            var estimates = queries.map { _ in Estimates.Part(start: first) }
            var scores: [Float] = []
            for block in (piece * blocks / pieces)..<((piece + 1) * blocks / pieces) {
                let range = (block * Self.block)..<min((block + 1) * Self.block, sequences)
                let bytes = records.bytes.extracting(
                    (range.lowerBound * file.recordBytes)..<(range.upperBound * file.recordBytes))
                for index in queries.indices {
                    // A record begins with the hash of its tokens.
                    sketch.signs.scores(
                        of: bytes, stride: file.recordBytes, with: queries[index].vector, into: &scores)
                    if queries[index].words == nil {
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
            for piece in found { merged.insert(piece.best[index]) }
            if let words = queries[index].words {
                let search = CombinedSearch(
                    estimates: Estimates(parts: found.map { $0.estimates[index] }, count: sequences), words: words)
                try search.insert(into: &merged, for: queries[index])
            }
            return merged.rowids
        }
    }
}
