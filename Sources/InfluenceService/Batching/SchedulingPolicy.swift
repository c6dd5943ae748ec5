import Attribution
import Foundation

/// Decides which waiting queries share the next sweep, and which of them can overtake a running one.
///
/// Jobs take turns in the order of their arrival, with three exceptions. A sweep takes jobs of similar cost, because a small one would
/// otherwise wait for the candidates of a large one. A sweep that costs little compared with what a running one has still to do runs at
/// once, while the running one is paused; between two such sweeps the running one continues for a time, so that it always has its share.
/// And a job during which the process died more than once runs alone.
struct SchedulingPolicy: Sendable, Equatable {
    var maximumQueries = 64
    /// The most scores of one sweep: queries times candidates. A job that has more is swept in parts. A query that alone has more is not
    /// admitted; if it has more because the corpus has grown since its admission, it runs alone.
    var maximumScores = 20_000_000
    /// The most memory of one sweep, to which the same rules apply.
    var maximumBytes = 4_294_967_296
    /// A sweep overtakes if its cost is at most this share of the running sweep's remaining cost.
    var overtakingPart = 0.25
    /// The share of the time that a running sweep always gets, however many sweeps overtake it.
    var guaranteedShare = 0.25
    /// Jobs are similar if neither costs more than this many times as much as the other.
    var similarity = 8
    /// Jobs are also similar if neither costs more than this many sequences.
    var smallCost = 2_000

    struct Entry: Sendable {
        var job: WaitingJob
        /// Whether the job has to wait, because some of its queries are being swept.
        var isBusy = false
    }

    /// The jobs that make the next sweep, and how many queries of each: the first job that can run, and later ones that fit with it.
    ///
    /// - Parameters:
    ///   - waiting: The jobs in the order of arrival.
    ///   - remaining: The remaining cost of the running sweep, if one is to be overtaken.
    /// - Returns: Indices of `waiting` with numbers of queries, in order; none if nothing can run.
    /// - Complexity: Linear in the waiting queries, up to ``maximumQueries`` of each job.
    func next(
        of waiting: [Entry], corpusSequences: Int, shape: SweepShape = SweepShape(), overtaking remaining: Int? = nil
    ) -> [(index: Int, queries: Int)] {
        let limit = remaining.map { Int(Double($0) * overtakingPart) } ?? .max
        let part = remaining == nil ? 1 : overtakingPart
        var chosen: [(index: Int, queries: Int)] = []
        var total = SweepCost(corpusSequences: corpusSequences, shape: shape)
        var first: SweepCost?
        for (index, entry) in waiting.enumerated() where !entry.isBusy {
            let runsAlone = entry.job.attempts > 1
            if runsAlone, remaining != nil || !chosen.isEmpty {
                // A job that overtakes can also overtake the jobs before it that wait for their turn.
                if remaining == nil { break } else { continue }
            }
            let fitting = entry.job.queries.prefix(maximumQueries - total.queries)
            guard fitting.count == entry.job.queries.count || chosen.isEmpty else { break }
            var cost = SweepCost(of: fitting.lazy.map(\.query), corpusSequences: corpusSequences, shape: shape)
            var sum = total
            sum.add(cost)
            if sum.sequences > limit { continue }
            if let first, !areSimilar(first, cost) { continue }
            var count = fitting.count
            if !allows(sum, part: part) {
                guard chosen.isEmpty else { break }
                (count, cost) = leading(fitting, from: SweepCost(corpusSequences: corpusSequences, shape: shape))
                sum = cost
            }
            let isWhole = count == entry.job.queries.count
            if remaining != nil, !isWhole || !allows(sum, part: part) { continue }
            chosen.append((index, count))
            total = sum
            first = first ?? cost
            if runsAlone || !isWhole || total.queries >= maximumQueries { break }
        }
        return chosen
    }

    /// Whether a sweep stays within the limits of scores and memory.
    ///
    /// - Parameter part: The part of both limits that it can use: less than 1 beside another sweep, which keeps its own memory.
    func allows(_ cost: SweepCost, part: Double = 1) -> Bool {
        cost.scores <= Int(Double(maximumScores) * part) && cost.bytes <= Int(Double(maximumBytes) * part)
    }

    /// As many of the first queries as a sweep can take; at least one.
    private func leading(_ queries: ArraySlice<WaitingQuery>, from none: SweepCost) -> (count: Int, cost: SweepCost) {
        var cost = none
        var count = 0
        for waiting in queries {
            var sum = cost
            sum.add(waiting.query)
            guard count == 0 || allows(sum) else { break }
            cost = sum
            count += 1
        }
        return (count, cost)
    }

    private func areSimilar(_ a: SweepCost, _ b: SweepCost) -> Bool {
        let (low, high) = (min(a.sequences, b.sequences), max(a.sequences, b.sequences))
        return high <= smallCost || high <= low * similarity
    }

    /// How many seconds a sweep runs after it was overtaken before it can be overtaken again.
    ///
    /// - Parameter seconds: How long it was paused.
    func cooldown(afterPauseOf seconds: Double) -> Double { seconds * guaranteedShare / (1 - guaranteedShare) }
}

extension QueryExcess {
    /// Names the largest part of a cost that exceeds the limits.
    init(of cost: SweepCost, _ policy: SchedulingPolicy, _ jobs: Configuration.Jobs) {
        let others = cost.bytes - cost.resultBytes
        let gradients = cost.gradientBytes
        let resultLimit = min(jobs.maximumResponseBytesInFlight, policy.maximumBytes)
        if cost.scores > policy.maximumScores {
            self = .candidates(cost.scores, limit: policy.maximumScores)
        } else if cost.resultBytes > resultLimit || cost.resultBytes > others {
            self = .resultBytes(cost.resultBytes, limit: resultLimit)
        } else if gradients > others - gradients {
            self = .gradientBytes(cost.bytes, limit: policy.maximumBytes)
        } else {
            self = .candidateBytes(cost.bytes, limit: policy.maximumBytes)
        }
    }
}

/// The estimated cost of a sweep for some queries: how many sequences run through the model, and how much memory it takes.
struct SweepCost: Sendable, Equatable {
    /// The candidates of all queries from the corpus; one that several queries share counts for each.
    private(set) var candidates = 0
    /// The ad-hoc texts of all queries. They are not in the corpus, so its size does not limit their number.
    private(set) var texts = 0
    private(set) var rescored = 0
    /// Sequences that iterations for the queries' inverse products run before the sweep.
    private(set) var solved = 0
    private(set) var queries = 0
    /// Memory of the queries' gradients.
    private(set) var keptBytes = 0
    /// Memory of these gradients in the form in which they are compared with candidates.
    private(set) var comparedBytes = 0
    /// Memory of the uncompressed gradients of queries whose candidates are scored again.
    private(set) var fullGradientBytes = 0
    private(set) var resultBytes = 0
    /// A sweep runs each sequence once, however many queries it is a candidate of.
    let corpusSequences: Int
    private let shape: SweepShape

    /// The most memory of a score during a sweep: 24 bytes in the sweep's table and 32 in its query's ranking, plus half of that while the
    /// ranking is sorted; 8 in the query's list of candidates, and 8 each for the candidate's index and for the pair if queries have
    /// different candidates.
    static let bytesPerScore = 96
    /// Further memory of a score that is kept: a rowid, the score, and whether it was computed again.
    static let bytesPerKeptScore = 17
    /// Further memory of a candidate, independent of the number of its queries.
    static let bytesPerCandidate = 256

    init(corpusSequences: Int, shape: SweepShape = SweepShape()) {
        self.corpusSequences = max(corpusSequences, 1)
        self.shape = shape
    }

    init(of queries: some Sequence<InfluenceQuery>, corpusSequences: Int, shape: SweepShape = SweepShape()) {
        self.init(corpusSequences: corpusSequences, shape: shape)
        for query in queries { add(query) }
    }

    mutating func add(_ query: InfluenceQuery) {
        let selection = query.candidates
        let asked =
            switch (selection.texts ?? selection.ids, selection.prefilter) {
            case (let named?, _): named.count
            case (nil, .tfidf), (nil, .index), (nil, .both): selection.limit
            case (nil, .all): corpusSequences
            }
        let own = selection.texts?.count ?? min(asked, corpusSequences)
        let directions = query.direction == .both ? 2 : 1
        if selection.texts != nil {
            texts += own
        } else {
            candidates += min(own + (selection.probe ?? 0), corpusSequences)
        }
        rescored += selection.texts != nil ? own : min(own, directions * query.rescore)
        if query.attribution.outputTokens {
            // Two forward passes and a tangent pass; scoring takes a forward pass and half a backward pass.
            rescored += 2 * (selection.texts != nil ? own : min(own, directions * query.topK))
        }
        solved += query.estimator.sequences(ofCorpus: corpusSequences)
        keptBytes += shape.keptBytes(of: query)
        comparedBytes += shape.comparedBytes(of: query)
        if query.rescore > 0 || selection.texts != nil { fullGradientBytes += shape.fullGradientBytes }
        resultBytes += shape.resultBytes(
            of: query, sequences: selection.texts != nil ? own : min(own, directions * query.topK))
        if query.allScores { resultBytes += own * Self.bytesPerKeptScore }
        queries += 1
    }

    mutating func add(_ other: SweepCost) {
        candidates += other.candidates
        texts += other.texts
        rescored += other.rescored
        solved += other.solved
        keptBytes += other.keptBytes
        comparedBytes += other.comparedBytes
        fullGradientBytes += other.fullGradientBytes
        resultBytes += other.resultBytes
        queries += other.queries
    }

    /// Sequences of the first pass, at most.
    var swept: Int { min(candidates, corpusSequences) + texts }

    /// Sequences of all passes.
    var sequences: Int { solved + swept + rescored }

    var scores: Int { swept * queries }

    /// Memory of the sweep, in addition to what the engine always holds.
    var bytes: Int {
        scores * Self.bytesPerScore + swept * Self.bytesPerCandidate + gradientBytes + resultBytes
    }

    /// Memory of the queries' gradients, in the sweep or when the best candidates are scored again, whichever is more.
    var gradientBytes: Int {
        // The engine scores queries again in groups, and limits their size.
        let group = min(fullGradientBytes, max(shape.fullGradientBytes, InfluenceEngine.fullRankBytes))
        return keptBytes + max(comparedBytes + shape.wholeBytes(of: queries), group)
    }

    /// How many sequences a sweep has still to run.
    func remaining(at progress: InfluenceProgress?) -> Int {
        guard let progress else { return sequences }
        let done = progress.total > 0 ? Double(progress.done) / Double(progress.total) : 0
        switch progress.stage {
        case .gradients: return Int(Double(solved) * (1 - done)) + swept + rescored
        case .candidates: return swept + rescored
        case .sweep: return Int(Double(swept) * (1 - done)) + rescored
        case .rescore: return Int(Double(rescored) * (1 - done))
        }
    }
}

/// The sizes of the engine's model and corpus from which the memory of a sweep is estimated.
struct SweepShape: Sendable, Equatable {
    /// The most tokens of a query.
    var contextLength = 0
    /// The average number of tokens of the corpus's sequences.
    var sequenceTokens = 0
    /// The tracked layers, with their numbers of inputs and outputs.
    var layers: [ModelSummary.Layer] = []
    var workers = ProcessInfo.processInfo.activeProcessorCount

    /// The most tokens of a micro-batch, except if a single sequence is longer.
    private static let batchTokens = 1_024

    init() {}

    init(_ model: ModelSummary) {
        contextLength = model.contextLength
        sequenceTokens = (model.corpus.tokens + model.corpus.sequences - 1) / max(model.corpus.sequences, 1)
        layers = model.trackedLayers
    }

    private static let float = MemoryLayout<Float>.stride

    /// Memory of a gradient of all tracked layers as full matrices.
    var fullGradientBytes: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } * Self.float }

    /// Memory of a query's gradient, kept as thin factors with a row per token, and of its product with the inverse curvature if an
    /// iteration computes that.
    func keptBytes(of query: InfluenceQuery) -> Int {
        // A token has at least one byte; there can be one more token before the text.
        guard query.behaviour == nil else {
            // The gradient's sum and identity matrices, and the same sum while it is made.
            let identities = layers.reduce(0) { $0 + $1.outputs * $1.outputs } * Self.float
            return 2 * fullGradientBytes + identities + (query.estimator == .astra ? fullGradientBytes : 0)
        }
        let completions = [query.completion, query.contrast].compactMap(\.self)
        let tokens =
            query.messages != nil
            ? contextLength
            : completions.reduce(0) { $0 + min(contextLength, query.prompt.utf8.count + $1.utf8.count + 1) }
        let thin = layers.reduce(0) { $0 + tokens * ($1.inputs + $1.outputs) } * Self.float
        return thin + (query.estimator == .astra ? fullGradientBytes : 0)
    }

    /// Memory of a query's preconditioned gradient, once by itself and once arranged with those of other queries, and of the workers'
    /// products of it with a micro-batch. The full matrices of ``wholeBytes(of:)`` are not included.
    func comparedBytes(of query: InfluenceQuery) -> Int {
        let rank: Int
        switch query.rank {
        case .full: return fullGradientBytes + scratchBytes(width: 0)
        case .faithful: rank = InfluenceQuery.Rank.mostFaithful
        case .limited(let limit): rank = limit
        }
        let values = layers.reduce(0) { $0 + min(rank, $1.inputs, $1.outputs) * ($1.inputs + $1.outputs) }
        let width = layers.reduce(0) { max($0, min(rank, $1.inputs, $1.outputs)) }
        return 2 * values * Self.float + scratchBytes(width: width)
    }

    /// Memory of all queries as full matrices, which the engine forms up to a limit.
    func wholeBytes(of queries: Int) -> Int { min(queries * fullGradientBytes, InfluenceEngine.wholeQueryBytes) }

    /// Memory of the products of a micro-batch's tokens with a query's factors of this width on both sides, and of two sums of scores.
    private func scratchBytes(width: Int) -> Int {
        workers * max(Self.batchTokens, contextLength)
            * (2 * width * Self.float + 2 * MemoryLayout<Double>.stride)
    }

    /// Memory of a query's result, as values and as JSON together.
    func resultBytes(of query: InfluenceQuery, sequences: Int) -> Int {
        // A text of about five bytes per token, the id and the metadata count in both forms, and so does each score with the text of its
        // token or the name of its layer.
        let text = 2_048 + 12 * sequenceTokens
        let tokens = (query.attribution.tokens ? 1 : 0) + (query.attribution.outputTokens ? 1 : 0)
        let scores = 80 * tokens * sequenceTokens + (query.attribution.layers ? 136 * layers.count : 0)
        return sequences * (text + scores)
    }
}
