import ArgumentParser
import Attribution

struct QueryOptions: ParsableArguments {
    @Option(
        help: """
            Which sequences to score: tfidf, those with the highest TF-IDF scores; index, those whose influence the gradient index \
            estimates to be largest; both, those with the largest sum of the two; all.
            """)
    var candidates = CandidateSelection.Prefilter.tfidf

    @Option(help: "How many sequences to score, except with --candidates all.")
    var candidateLimit = 1_000

    @Option(
        name: .customLong("candidate"),
        help: ArgumentHelp(
            "Score only the sequence or document with this id; can be given several times.", valueName: "id"))
    var candidateIDs: [String] = []

    @Option(help: "Score only sequences from this source.")
    var source: String?

    @Option(
        name: .customLong("text"),
        help: ArgumentHelp(
            "Score this text, which need not be in the corpus; can be given several times. All texts are shown.",
            valueName: "text"))
    var texts: [String] = []

    @Option(
        help: ArgumentHelp(
            """
            Also score this many of the other sequences, drawn at random, to estimate how much influence the choice of candidates \
            has missed.
            """,
            valueName: "number"))
    var probe: Int?

    @Option(help: "How many sequences to show in each direction.")
    var topK = 20

    @Option(
        help: """
            Which sequences to show: positive, those that make the completion likelier; negative, those that make it less likely; both.
            """)
    var direction = InfluenceQuery.Direction.positive

    @Option(
        help: """
            The rank to which the query's gradient is compressed for the sweep; auto for the least one that keeps 99 % of its squared \
            norm; full for no compression. (default: 32, and auto for a behaviour)
            """)
    var rank: InfluenceQuery.Rank?

    @Option(help: "How many of the best candidates to score again with the uncompressed gradient.")
    var rescore = 100

    @Option(help: "The damping of the curvature. (default: 0.1 times the mean eigenvalue of each layer)")
    var damping: Double?

    @Option(
        help: """
            How to estimate the inverse curvature: ekfac, by the fitted factors; astra, by an iteration that starts from them and \
            is slower; identity, not at all.
            """)
    var estimator = InfluenceQuery.Estimator.ekfac

    @Flag(help: "Break scores down by layer.")
    var layers = false

    @Flag(help: "Break scores down by token. Tables always do.")
    var tokens = false

    @Flag(
        help: """
            Break scores down by the tokens that become likelier if the model moves towards the query. Only JSON and NDJSON show it.
            """)
    var outputTokens = false

    func validate() throws {
        typealias Limits = InfluenceQuery.Limits
        try Limits.candidates.check(candidateLimit, of: "--candidate-limit")
        try Limits.name.check(each: candidateIDs, of: "--candidate")
        try Limits.name.check(source, of: "--source")
        try Limits.adHocText.check(each: texts, of: "--text")
        try Limits.probe.check(probe, of: "--probe")
        try Limits.topK.check(topK, of: "--top-k")
        try Limits.rescore.check(rescore, of: "--rescore")
        try Limits.damping.check(damping, of: "--damping")
        if case .limited(let rank) = rank, let refusal = Limits.rank.refusal(of: rank) {
            throw ValidationError("--rank: \(refusal), auto, or full for no compression")
        }
        try refuse(
            !texts.isEmpty && !(candidateIDs.isEmpty && source == nil),
            "--text: texts are scored in place of sequences of the corpus: leave out --candidate and --source")
        try refuse(
            probe != nil && !texts.isEmpty,
            "--probe: texts are not chosen from the corpus: leave out --text or --probe")
    }

    private func refuse(_ isWrong: Bool, _ message: String) throws {
        if isWrong { throw ValidationError(message) }
    }

    func query(prompt: String, completion: String) -> InfluenceQuery {
        InfluenceQuery(
            prompt: prompt, completion: completion, topK: topK, direction: direction,
            candidates: CandidateSelection(
                prefilter: candidates, limit: candidateLimit, ids: candidateIDs.isEmpty ? nil : candidateIDs,
                source: source, texts: texts.isEmpty ? nil : texts, probe: probe), rank: rank ?? .limited(32),
            rescore: rescore,
            damping: damping, estimator: estimator,
            attribution: InfluenceQuery.Breakdown(layers: layers, tokens: tokens, outputTokens: outputTokens))
    }
}

extension CandidateSelection.Prefilter: ExpressibleByArgument {}
extension InfluenceQuery.Direction: ExpressibleByArgument {}
extension InfluenceQuery.Estimator: ExpressibleByArgument {}
extension InfluenceQuery.Combination: ExpressibleByArgument {}

extension InfluenceQuery.Rank: ExpressibleByArgument {
    public init?(argument: String) {
        if argument == "full" {
            self = .full
        } else if argument == "auto" {
            self = .faithful
        } else if let rank = Int(argument) {
            self = .limited(rank)
        } else {
            return nil
        }
    }

    public var defaultValueDescription: String {
        switch self {
        case .limited(let rank): "\(rank)"
        case .faithful: "auto"
        case .full: "full"
        }
    }
}
