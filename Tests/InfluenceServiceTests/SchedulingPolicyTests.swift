import Testing

@testable import Attribution
@testable import InfluenceService

@Suite("The order of sweeps")
struct SchedulingPolicyTests {
    private var policy = SchedulingPolicy()
    private let corpus = 100_000

    /// A job of queries with this many candidates each.
    private func entry(_ candidates: Int, queries: Int = 1, attempts: Int = 0, isBusy: Bool = false)
        -> SchedulingPolicy.Entry
    {
        let query = InfluenceQuery(
            prompt: "a", completion: "x", candidates: CandidateSelection(limit: candidates), rescore: 0)
        let waiting = (0..<queries).map { WaitingQuery(position: $0, query: query) }
        return SchedulingPolicy.Entry(
            job: WaitingJob(id: JobIdentifier(), queries: waiting, attempts: attempts), isBusy: isBusy)
    }

    private func next(_ waiting: [SchedulingPolicy.Entry], left: Int? = nil) -> [[Int]] {
        policy.next(of: waiting, corpusSequences: corpus, overtaking: left).map { [$0.index, $0.queries] }
    }

    @Test("is that of arrival, as many queries as fit")
    mutating func arrival() {
        policy.maximumQueries = 4
        #expect(next([entry(1_000, queries: 2), entry(1_000), entry(1_000, queries: 2)]) == [[0, 2], [1, 1]])
        #expect(next([entry(1_000, queries: 9), entry(1_000)]) == [[0, 4]])
        #expect(next([]) == [])
    }

    @Test("counts texts that a query brings along as what they are, and each as scored again")
    func texts() {
        let query = InfluenceQuery(
            prompt: "a", completion: "x", candidates: CandidateSelection(prefilter: .all, texts: ["b", "c", "d"]),
            rescore: 0)
        let cost = SweepCost(of: [query], corpusSequences: corpus)
        #expect(cost.swept == 3 && cost.sequences == 6)
        #expect(SweepCost(of: [query], corpusSequences: 1).swept == 3, "texts are not in the corpus")
    }

    @Test("does not make a small job wait for the candidates of a large one")
    func similarity() {
        #expect(next([entry(90_000), entry(1_000), entry(50_000)]) == [[0, 1], [2, 1]])
        #expect(next([entry(1_000), entry(90_000), entry(1_500)]) == [[0, 1], [2, 1]])
        // Of what takes no time anyway nothing is kept apart.
        #expect(next([entry(10), entry(2_000)]) == [[0, 1], [1, 1]])
    }

    @Test("holds no more scores in one sweep than allowed: a job that has more is swept in parts")
    mutating func scores() {
        policy.maximumScores = 100_000
        #expect(next([entry(10_000, queries: 2), entry(10_000), entry(10_000)]) == [[0, 2], [1, 1]])
        #expect(next([entry(10_000, queries: 5), entry(10_000)]) == [[0, 3]])
        #expect(next([entry(90_000, queries: 5), entry(90_000)]) == [[0, 1]])
        // The corpus has grown since it was admitted.
        policy.maximumScores = 50_000
        #expect(next([entry(90_000), entry(90_000)]) == [[0, 1]])
        // What is unlike is passed over, whether its scores fit or not.
        policy.maximumScores = 100_000
        #expect(next([entry(1_000), entry(90_000, queries: 2), entry(1_000)]) == [[0, 1], [2, 1]])
    }

    @Test("takes no more memory in one sweep than allowed, with gradients and results")
    mutating func memory() throws {
        var shape = SweepShape()
        (shape.contextLength, shape.sequenceTokens) = (512, 256)
        shape.layers = [.init(name: "up", inputs: 1_000, outputs: 4_000)]
        func next(_ change: (inout InfluenceQuery) -> Void) -> [[Int]] {
            var query = InfluenceQuery(
                prompt: "a", completion: "x", candidates: CandidateSelection(limit: 10), rescore: 0)
            change(&query)
            let waiting = (0..<10).map { WaitingQuery(position: $0, query: query) }
            let entry = SchedulingPolicy.Entry(job: WaitingJob(id: JobIdentifier(), queries: waiting, attempts: 0))
            return policy.next(of: [entry], corpusSequences: corpus, shape: shape).map { [$0.index, $0.queries] }
        }
        shape.workers = 1
        policy.maximumBytes = 200_000_000
        // 16 MB of a gradient multiplied out; once, and twice where the query is kept so.
        #expect(next { _ in } == [[0, 10]])
        #expect(next { $0.rescore = 1 } == [[0, 10]])
        #expect(next { $0.rank = .full } == [[0, 6]])
        #expect(next { $0.estimator = .astra } == [[0, 5]])
        // A thousand sequences, each with 256 tokens' scores or without.
        func thousand(_ query: inout InfluenceQuery) { (query.topK, query.candidates.limit) = (1_000, 1_000) }
        #expect(next(thousand) == [[0, 8]])
        #expect(
            next {
                thousand(&$0)
                $0.attribution.tokens = true
            } == [[0, 4]])
        #expect(next { ($0.topK, $0.candidates.limit) = (1, 90_000) } == [[0, 6]])
    }

    @Test("holds a quarter of that number beside it in a sweep that overtakes")
    mutating func overtakingScores() {
        policy.maximumScores = 40_000
        #expect(next([entry(10_000), entry(1_000)], left: 90_000) == [[0, 1]])
        #expect(next([entry(10_001), entry(1_000)], left: 90_000) == [[1, 1]])
        #expect(next([entry(5_000), entry(5_000)], left: 90_000) == [[0, 1]])
    }

    @Test("lets those overtake that cost little beside what is left")
    func overtaking() {
        let waiting = [entry(90_000), entry(1_000), entry(30_000), entry(1_000)]
        #expect(next(waiting, left: 90_000) == [[1, 1], [3, 1]])
        #expect(next(waiting, left: 4_000) == [[1, 1]])
        #expect(next(waiting, left: 3_999) == [])
        #expect(next([entry(10, queries: 100)], left: 90_000) == [], "a list in parts would hold the running one often")
    }

    @Test("runs nothing beside, or together with, what the process has died of more than once")
    func suspects() {
        #expect(next([entry(10), entry(10, attempts: 2), entry(10)]) == [[0, 1]])
        #expect(next([entry(10, attempts: 2), entry(10)]) == [[0, 1]])
        #expect(next([entry(10, attempts: 2), entry(10)], left: 90_000) == [[1, 1]])
    }

    @Test("passes over a list of which a part is being swept")
    func busy() {
        #expect(next([entry(10, isBusy: true), entry(10)]) == [[1, 1]])
        #expect(next([entry(10, isBusy: true)], left: 90_000) == [])
    }

    @Test("gives a sweep that was overtaken a quarter of the time before the next may")
    func cooldown() {
        #expect(policy.cooldown(afterPauseOf: 30) == 10)
        var half = policy
        half.guaranteedShare = 0.5
        #expect(half.cooldown(afterPauseOf: 30) == 30)
    }

    @Test("goes by the sequences that a sweep runs, each once, and those it scores again")
    func cost() {
        var query = InfluenceQuery(prompt: "a", completion: "x", candidates: CandidateSelection(prefilter: .all))
        var cost = SweepCost(of: [query, query], corpusSequences: 1_000)
        #expect(cost.swept == 1_000 && cost.sequences == 1_200 && cost.scores == 2_000)
        #expect(cost.remaining(at: nil) == 1_200)
        #expect(cost.remaining(at: InfluenceProgress(stage: .sweep, done: 300, total: 1_000)) == 900)
        #expect(cost.remaining(at: InfluenceProgress(stage: .rescore, done: 50, total: 200)) == 150)
        query.candidates = CandidateSelection(ids: ["a", "b"])
        query.direction = .both
        cost = SweepCost(of: [query], corpusSequences: 1_000)
        #expect(cost.sequences == 4)
    }
}

@Suite("A gate")
struct GateTests {
    @Test("holds who comes while it is closed, and nobody else")
    func gate() async throws {
        let gate = Gate()
        gate.pass()
        gate.close()
        let lane = BlockingLane("test", width: 1, qualityOfService: .utility)
        async let passing: Void = lane.run { gate.pass() }
        gate.open()
        await passing
    }
}
