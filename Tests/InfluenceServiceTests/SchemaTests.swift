import Corpus
import Foundation
import HTTP
import JSON
import Sequences
import Testing

@testable import Attribution
@testable import InfluenceService

/// The schemas against the types that the handlers encode and decode.
@Suite("The schemas")
struct SchemaTests {
    private let validator = SchemaValidator(document: OpenAPIDocument([], version: "0", needsTokens: false).tree)

    /// Checks that a schema describes a type exactly.
    ///
    /// - Parameters:
    ///   - full: A value with all of its members: the schema's properties, no more and no fewer.
    ///   - minimal: A value with no more members than it must have: the required ones.
    private func expect(
        _ name: SchemaName, describes full: some Encodable, minimal: some Encodable,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let schema = name.schema.tree
        for value in [try tree(full), try tree(minimal)] {
            #expect(validator.mistakes(in: value, schema).isEmpty, sourceLocation: sourceLocation)
        }
        #expect(
            try tree(full).names.sorted() == schema["properties"]?.names.sorted(), sourceLocation: sourceLocation)
        #expect(
            try tree(minimal).names.sorted() == schema["required"]?.elements.compactMap(\.string).sorted(),
            sourceLocation: sourceLocation)
    }

    private func tree(_ value: some Encodable) throws -> JSONTree {
        try JSONReader.read(Array(try jsonText(value).utf8))
    }

    private let query = InfluenceQuery(
        id: "a", prompt: "b", completion: "c", spans: [.init(start: 0, end: 1)], contrast: "d", topK: 1,
        direction: .both,
        candidates: CandidateSelection(
            prefilter: .all, limit: 2, ids: ["d"], source: "e", probe: 2, probeSeed: .max), rank: .full, rescore: 0,
        damping: 0.5, attribution: .init(layers: true, tokens: true, outputTokens: true)
    ).keepingAllScores

    @Test("of queries take what a query is and refuse what it is not")
    func queries() throws {
        let schema = SchemaName.query.schema.tree
        var names: Set<String> = []
        for query in [query, behaviour, chat] {
            #expect(validator.mistakes(in: try tree(query), schema).isEmpty)
            names.formUnion(try tree(query).names)
        }
        #expect(names.sorted() == schema["properties"]?.names.sorted())
        #expect(
            (try tree(query.candidates).names + ["texts"]).sorted()
                == SchemaName.candidateSelection.schema.tree["properties"]?.names.sorted())
        var limited = query
        limited.rank = .limited(4_096)
        var withTexts = InfluenceQuery(prompt: "a", completion: "b")
        withTexts.candidates.texts = ["c"]
        let behaviour = InfluenceQuery(
            behaviour: [
                .init(prompt: "a", completion: "b"), .init(prompt: "a", completion: "b", contrast: "c", weight: 2),
            ])
        for query in [query, limited, withTexts, behaviour, InfluenceQuery(prompt: "a", completion: "b")] {
            #expect(validator.mistakes(in: try tree(query), schema).isEmpty)
        }
        for (text, isUsable) in [
            ("{\"prompt\": \"a\", \"completion\": \"b\"}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": null, \"candidates\": {\"limit\": null}}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": \"full\", \"damping\": 1e-9}", true),
            ("{\"prompt\": \"\", \"completion\": \"b\"}", false), ("{\"prompt\": \"a\"}", false),
            ("{\"measurement\": [{\"prompt\": \"a\", \"completion\": \"b\"}], \"combine\": \"sum\"}", true),
            ("{\"measurement\": [{\"prompt\": \"a\", \"completion\": \"b\"}], \"rank\": \"auto\"}", true),
            ("{\"measurement\": []}", false), ("{\"measurement\": null}", false),
            ("{\"measurement\": [{\"prompt\": \"a\", \"completion\": \"b\"}], \"prompt\": \"c\"}", false),
            ("{\"measurement\": [{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": 0}]}", false),
            ("{\"messages\": [{\"role\": \"assistant\", \"content\": \"a\"}]}", true),
            ("{\"messages\": [{\"role\": \"assistant\"}], \"completion\": \"a\"}", false),
            ("{\"messages\": []}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"messages\": null, \"measurement\": null}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"top_k\": 10001}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"top_k\": 0}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": 4097}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": \"half\"}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rescore\": -1}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"damping\": 0}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"direction\": \"up\"}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"estimator\": \"astra\"}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"estimator\": \"hessian\"}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"topk\": 1}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"ids\": []}}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"texts\": [\"c\"]}}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"texts\": []}}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"attribution\": {\"layers\": 1}}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"attribution\": {\"output_tokens\": true}}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"contrast\": \"c\", \"spans\": null}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"contrast\": \"\"}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"spans\": [{\"start\": 0, \"end\": 1}]}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"spans\": []}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"spans\": [[0, 1]]}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"spans\": [{\"start\": -1, \"end\": 1}]}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"probe\": 9, \"probe_seed\": 1}}", true),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"candidates\": {\"probe\": 1}}", false),
            ("{\"prompt\": \"a\", \"completion\": \"b\", \"rank\": \"auto\"}", true),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}]}"#, true),
            (
                #"{"measurement": [{"prompt": "a", "completion": "b", "contrast": "c", "weight": 2}], "combine": "sum"}"#,
                true
            ),
            (
                #"{"measurement": [{"prompt": "a", "completion": "b", "contrast": null}], "combine": null, "rank": null}"#,
                true
            ),
            (#"{"measurement": []}"#, false), (#"{"measurement": [{"prompt": "a"}]}"#, false),
            (#"{"measurement": [{"prompt": "a", "completion": "b", "weight": 0}]}"#, false),
            (#"{"measurement": [{"prompt": "a", "completion": "b", "share": 1}]}"#, false),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "combine": "product"}"#, false),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "prompt": "a", "completion": "b"}"#, false),
            (#"{"measurement": [{"prompt": "a", "completion": "b"}], "contrast": "c"}"#, false),
            (#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, true),
            (#"{"messages": [{"role": "assistant", "content": [{"type": "text", "text": "b"}]}]}"#, true),
            (#"{"messages": []}"#, false),
            (#"{"messages": [{"role": "assistant", "content": "b"}], "prompt": "a"}"#, false),
            (#"{"messages": [{"role": "assistant", "content": "b"}], "contrast": "a"}"#, true),
            (#"{"messages": [{"role": "assistant", "content": "b"}], "drop_turns": true}"#, true),
            (#"{"messages": [{"role": "assistant", "content": "b"}], "combine": "mean"}"#, false),
            (#"{"prompt": "a", "completion": "b", "combine": "sum"}"#, false),
            (#"{"prompt": "a", "completion": "b", "combine": null, "drop_turns": null}"#, true),
            (#"{"prompt": "a", "completion": "b", "drop_turns": true}"#, false),
            (#"{"measurement": [{"messages": [{"role": "assistant", "content": "b"}]}], "drop_turns": true}"#, true),
            (
                #"{"measurement": [{"messages": [{"role": "assistant", "content": "b"}], "contrast": "c", "weight": 2}]}"#,
                true
            ),
            (#"{"measurement": [{"messages": [{"role": "a", "content": "b"}], "prompt": "c"}]}"#, false),
            (#"{"measurement": [{"messages": [{"content": "b"}]}]}"#, false),
            (#"{"measurement": [{"messages": []}]}"#, false),
        ] {
            let body = try JSONReader.read(Array(text.utf8))
            let asked = try? InfluenceRequest(
                body, defaults: Configuration.Query(), limit: Configuration.Jobs().queriesPerRequest)
            #expect((asked != nil) == isUsable, "\(text)")
            #expect(validator.mistakes(in: body, schema).isEmpty == isUsable, "\(text)")
        }
    }

    private let behaviour: InfluenceQuery = {
        var query = InfluenceQuery(
            behaviour: [
                BehaviourPart(prompt: "a", completion: "b", contrast: "c", weight: 2),
                BehaviourPart(prompt: "d", completion: "e"),
            ], combine: .sum)
        query.damping = 0.5
        return query
    }()

    private let chat: InfluenceQuery = {
        var query = InfluenceQuery(prompt: "", completion: "")
        query.messages = [["role": "user", "content": "a"], ["role": "assistant", "content": "b"]]
        query.dropTurns = true
        return query
    }()

    @Test("of records take every kind of row and refuse what is none or more than one")
    func records() throws {
        let schema = SchemaName.sequenceRecord.schema.tree
        for (text, isUsable) in [
            (#"{"id": 1, "text": "a", "source": null, "metadata": {"b": 1}, "other": 2}"#, true),
            (#"{"text": "abc", "loss": [{"start": 1, "end": 3}]}"#, true), (#"{"text": "abc", "loss": null}"#, true),
            (#"{"prompt": "a", "completion": "b"}"#, true), (#"{"prompt": "", "completion": "b"}"#, true),
            (#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#, true),
            (#"{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}"#, true),
            (#"{"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]}"#, true),
            (#"{"input_ids": [1, 2]}"#, true), (#"{"id": "a"}"#, false), (#"{"text": ""}"#, false),
            (#"{"text": "abc", "labels": [1, 2]}"#, false), (#"{"text": "abc", "labels": null}"#, true),
            (#"{"prompt": "a", "completion": "b", "loss": [{"start": 1, "end": 3}]}"#, false),
            (#"{"text": "abc", "loss": [[1, 3]]}"#, false), (#"{"text": "abc", "loss": [{"start": 1}]}"#, false),
            (#"{"prompt": "a"}"#, false), (#"{"prompt": "a", "completion": ""}"#, false),
            (#"{"text": "a", "prompt": "a", "completion": "b"}"#, false),
            (#"{"text": "a", "messages": [{"role": "user", "content": "a"}]}"#, false),
            (#"{"input_ids": [1], "prompt": "a", "completion": "b"}"#, false), (#"{"messages": "a"}"#, false),
            (#"{"input_ids": ["a"]}"#, false), (#"{"input_ids": [1], "labels": [-101]}"#, false),
        ] {
            let body = try JSONReader.read(Array(text.utf8))
            #expect(validator.mistakes(in: body, schema).isEmpty == isUsable, "\(text)")
            #expect(try RowReading.reads(body) == isUsable, "\(text)")
        }
    }

    @Test("of completions take what a prompt is and refuse what it is not")
    func completionRequests() throws {
        let schema = SchemaName.completionRequest.schema.tree
        #expect(try tree(CompletionRequest(prompt: "a")).names.sorted() == schema["properties"]?.names.sorted())
        for (text, isUsable) in [
            ("{\"prompt\": \"a\", \"seed\": 18446744073709551615}", true),
            ("{\"prompt\": \"a\", \"max_tokens\": null, \"temperature\": null, \"seed\": null}", true),
            ("{\"prompt\": \"\"}", false), ("{\"prompt\": \"a\", \"max_tokens\": 4097}", false),
            ("{\"prompt\": \"a\", \"temperature\": -0.5}", false), ("{\"prompt\": \"a\", \"seed\": -1}", false),
        ] {
            let body = try JSONReader.read(Array(text.utf8))
            #expect(((try? body.decoded(as: CompletionRequest.self)) != nil) == isUsable, "\(text)")
            #expect(validator.mistakes(in: body, schema).isEmpty == isUsable, "\(text)")
        }
    }

    @Test("of requests for scores take what can be scored and refuse what cannot")
    func scoresRequests() throws {
        let schema = SchemaName.scoresRequest.schema.tree
        for (members, isUsable) in [
            ("\"texts\": [\"c\"]", true),
            ("\"texts\": [\"c\", {\"text\": \"d\"}, {\"id\": \"e\", \"text\": \"f\"}]", true),
            ("\"texts\": [\"c\"], \"contrast\": \"d\", \"spans\": [{\"start\": 0, \"end\": 1}]", true),
            ("\"texts\": [\"c\"], \"damping\": 0.5, \"estimator\": \"identity\"", true),
            ("\"texts\": [\"c\"], \"attribution\": {\"tokens\": true}", true),
            ("\"texts\": []", false), ("\"contrast\": \"d\"", false), ("\"texts\": [1]", false),
            ("\"texts\": [{\"id\": \"e\"}]", false), ("\"texts\": [{\"text\": \"e\", \"source\": \"f\"}]", false),
            ("\"texts\": [\"c\"], \"measurement\": [{\"prompt\": \"a\", \"completion\": \"b\"}]", false),
            ("\"texts\": [\"c\"], \"top_k\": 3", false), ("\"texts\": [\"c\"], \"candidates\": {}", false),
        ] {
            let body = try JSONReader.read(Array("{\"prompt\": \"a\", \"completion\": \"b\", \(members)}".utf8))
            #expect(((try? ScoresRequest(body, limits: Configuration.Query())) != nil) == isUsable, "\(members)")
            #expect(validator.mistakes(in: body, schema).isEmpty == isUsable, "\(members)")
        }
    }

    @Test("of results are those of what the engine answers")
    func results() throws {
        var result = FakeEngine.result(for: query, batchSize: 1)
        var minimal = result
        minimal.distribution = nil
        try expect(.understoodQuery, describes: understood, minimal: understood.minimal)
        let contrast = try #require(understood.contrast)
        try expect(.continuation, describes: contrast, minimal: contrast)
        let part = InfluenceResult.Part(
            prompt: "a", completion: "b", contrast: "c", weight: 1, logProbability: -1, contrastLogProbability: -2,
            share: -0.5, droppedMessages: 2)
        var bare = part
        (bare.contrast, bare.contrastLogProbability, bare.share, bare.droppedMessages) = (nil, nil, nil, nil)
        try expect(.understoodPart, describes: part, minimal: bare)
        result.query = understood
        result.sources = [.init(source: nil, sequences: 1, positive: 1, negative: 0)]
        result.otherSources = .init(sources: 1, sequences: 2, positive: 3, negative: -4)
        let bias = PrefilterBias(
            sample: [1, 2], outside: 9, inside: 1, wouldRank: 1,
            found: [.init(rank: 1, id: "a", source: "b", score: 1, text: "c")])
        result.prefilterBias = bias
        result.warnings = ["w"]
        let nothing = PrefilterBias(sample: [], outside: 0, inside: 0, wouldRank: 0, found: [])
        try expect(.prefilterBias, describes: bias, minimal: nothing)
        try expect(.sourceInfluence, describes: result.sources?.first, minimal: result.sources?.first)
        try expect(.timings, describes: result.timings, minimal: result.timings)
        let distribution = try #require(result.distribution)
        var bareDistribution = distribution
        (bareDistribution.powerLaw, bareDistribution.shares) = (nil, nil)
        try expect(.scoreDistribution, describes: distribution, minimal: bareDistribution)
        try expect(.powerLaw, describes: distribution.powerLaw, minimal: distribution.powerLaw)
        var method = InfluenceResult.Method(estimator: .astra)
        (method.iterations, method.sequences, method.tokens) = (48, 1_536, 100_000)
        (method.seconds, method.step, method.residual, method.rank) = (2.5, 0.25, 0.1, 48)
        result.method = method
        result.sequences[0].layers = [.init(name: "l", score: 1)]
        result.sequences[0].tokens = [.init(text: "t", score: 1)]
        result.sequences[0].outputTokens = [.init(text: "t", score: 1)]
        result.sequences[0].index = 0
        result.sequences[0].loss = [.init(start: 0, end: 1)]
        try expect(.queryResult, describes: result, minimal: minimal)
        try expect(.method, describes: method, minimal: InfluenceResult.Method(estimator: .ekfac))
        try expect(
            .scores, describes: ScoresDocument(result, ids: ["a"]), minimal: ScoresDocument(minimal, ids: []))
        result.sequences[0].loss = [.init(start: 0, end: 1)]
        var plain = result.sequences[0]
        (plain.index, plain.loss) = (nil, nil)
        (plain.source, plain.metadata, plain.layers, plain.tokens, plain.outputTokens) = (nil, nil, nil, nil, nil)
        try expect(.influentialSequence, describes: result.sequences[0], minimal: plain)
        try expect(
            .queryToken, describes: InfluenceResult.QueryToken(id: 1, text: "t", logProbability: -1, measured: true),
            minimal: InfluenceResult.QueryToken(id: 1, text: "t"))
        let failed = QueryOutcome.failure(QueryFailure(kind: .unusable, detail: "d", field: "f"))
        for isList in [true, false] {
            let outcomes = [QueryOutcome.result(Data(try jsonText(result).utf8))] + (isList ? [failed] : [])
            let document = ResultDocument(
                isList: isList, queries: Array(repeating: query, count: outcomes.count), outcomes: outcomes)
            let value = try JSONReader.read(try document.bytes(as: .json))
            #expect(validator.mistakes(in: value, SchemaName.queryResults.schema.tree).isEmpty)
        }
    }

    private var understood: InfluenceResult.UnderstoodQuery {
        var understood = FakeEngine.result(for: query, batchSize: 1).query
        understood.spans = [.init(start: 0, end: 1)]
        understood.contrast = .init(
            completion: "d", tokens: understood.tokens, completionStart: 1, completionStartsInsideToken: true,
            logProbability: -2)
        understood.measurement = 1.5
        understood.parts = [.init(prompt: "a", completion: "b", weight: 1, logProbability: -1)]
        understood.combine = .mean
        understood.droppedMessages = 2
        return understood
    }

    @Test("of jobs are those of what is told of a job")
    func jobs() throws {
        var timings = JobTimings()
        let minimalTimings = timings
        (timings.queue, timings.total) = (1, 2)
        timings.add([.gradients: 1, .candidates: 2, .sweep: 3, .rescore: 4])
        timings.batch = .init(id: "b", size: 1, number: 1)
        try expect(.jobTimings, describes: timings, minimal: minimalTimings)
        var job = Job(
            id: JobIdentifier(), status: .queued, isList: true, queryCount: 1, failedQueryCount: 0, created: Date(),
            attempts: 0, timings: minimalTimings)
        let minimal = JobDocument(job)
        job.title = JobTitle([behaviour])
        job.status = .running
        job.timings = timings
        (job.started, job.finished) = (Date(), Date())
        job.failure = QueryFailure(kind: .failed, detail: "d", field: "f")
        var full = JobDocument(job, progress: .init(stage: .sweep, done: 1, total: 2), queries: [query])
        (full.result, full.scores) = (job.id.resultPath, job.id.path + "/scores")
        try expect(.job, describes: full, minimal: minimal)
        let row = CandidateScoresPage.Row(id: "a", score: 1.5, rescored: true)
        let noScore = CandidateScoresPage.Row(id: "b", score: nil, rescored: false)
        try expect(
            .allScores, describes: CandidateScoresPage(candidates: 3, scores: [row, noScore], nextCursor: "2"),
            minimal: CandidateScoresPage(candidates: 0, scores: []))
        try expect(.jobList, describes: JobList(jobs: [full], nextCursor: "1"), minimal: JobList(jobs: [minimal]))
    }

    @Test("of the corpus are those of what is told of it")
    func corpus() throws {
        var sequence = FakeEngine.sequence
        sequence.loss = [.init(start: 0, end: 5), .init(start: 8, end: 9)]
        var bare = sequence
        (bare.source, bare.metadata, bare.loss) = (nil, nil, nil)
        try expect(.sequence, describes: sequence, minimal: bare)
        try expect(
            .sequenceList, describes: SequenceList(sequences: [sequence, bare], nextCursor: "1"),
            minimal: SequenceList(sequences: []))
        let hits = SearchResult(hits: [SearchHit(rank: 1, score: 1, sequence: sequence)])
        try expect(.searchResult, describes: hits, minimal: hits)
        let statistics = ModelSummary.Statistics(documents: 1, sequences: 2, tokens: 3, duplicates: 4)
        try expect(.corpusStatistics, describes: statistics, minimal: statistics)
        let summary = IngestionSummary(
            added: 1, duplicates: 0, empty: 1, sequences: 1, tokens: 2, ids: ["a", nil], corpus: statistics)
        try expect(.ingestion, describes: summary, minimal: summary)
    }

    @Test("of the model and the server are those of what is told of them")
    func service() throws {
        let completion = CompletionResult(
            prompt: "p", completion: "c", tokens: [.init(id: 1, text: "t", logProbability: -1)],
            finishReason: "context_full")
        try expect(.completion, describes: completion, minimal: completion)
        var model = try FakeEngine().describe()
        var least = model
        least.index = nil
        model.chatTemplate = true
        try expect(.model, describes: model, minimal: least)
        (model.factors.tokens, model.factors.seed) = (1, .max)
        #expect(validator.mistakes(in: try tree(model), SchemaName.model.schema.tree).isEmpty)
        var health = Health(.starting(stage: "s"))
        health.reason = "r"
        try expect(.health, describes: health, minimal: Health(.stopping))
        let kinds = ProblemKindList(problems: [ProblemKindDocument(.unknownJob)])
        try expect(.problemKindList, describes: kinds, minimal: kinds)
        try expect(.problemKind, describes: kinds.problems[0], minimal: kinds.problems[0])
        let failure = ProblemDocument(Problem(QueryFailure(kind: .failed, detail: "d", field: "f")))
        try expect(
            .embeddedProblem, describes: ProblemDocument(.unusableField("f", "d")),
            minimal: ProblemDocument(.unusableField("", "d")))
        #expect(failure.status == 500)
        let calls = CallList(calls: [])
        try expect(.callList, describes: calls, minimal: calls)
    }

    @Test("of problems are those of what is sent")
    func problems() throws {
        let schema = SchemaName.problem.schema.tree
        var bytes: [[UInt8]] = []
        for problem in [Problem.unusableRecord(line: 3, field: "text", reason: "r"), .stopping] {
            guard case .bytes(let body) = problem.response(path: problem.field == nil ? nil : "/a").body else {
                continue
            }
            bytes.append(body)
        }
        let trees = try bytes.map(JSONReader.read)
        #expect(trees.count == 2)
        for tree in trees { #expect(validator.mistakes(in: tree, schema).isEmpty) }
        #expect(trees[0].names.sorted() == schema["properties"]?.names.sorted())
        #expect(trees[1].names.sorted() == schema["required"]?.elements.compactMap(\.string).sorted())
    }

    @Test("refuse what they do not describe")
    func validatorItself() throws {
        let schema = SchemaName.queryToken.schema.tree
        for text in [
            "{\"id\": 1}", "{\"id\": 1.5, \"text\": \"\"}", "{\"id\": 1, \"text\": \"\", \"x\": 1}", "[]",
            "{\"id\": -1, \"text\": \"\"}",
        ] {
            #expect(!validator.mistakes(in: try JSONReader.read(Array(text.utf8)), schema).isEmpty, "\(text)")
        }
        #expect(!validator.mistakes(in: "a", ["maxProperties": 1]).isEmpty)
        #expect(!validator.mistakes(in: "a", ["$ref": "#/components/schemas/Nothing"]).isEmpty)
    }
}

extension InfluenceResult.UnderstoodQuery {
    /// As a result has it of a query that has no name and explains the whole of its completion.
    fileprivate var minimal: InfluenceResult.UnderstoodQuery {
        var minimal = self
        (minimal.id, minimal.spans, minimal.contrast, minimal.measurement) = (nil, nil, nil, nil)
        (minimal.parts, minimal.combine, minimal.droppedMessages) = (nil, nil, nil)
        return minimal
    }
}

/// A corpus that takes every kind of row, and remembers nothing of what it took.
private enum RowReading {
    static func reads(_ record: JSONTree) throws -> Bool {
        let folder = try TemporaryFolder()
        var tokenization = CorpusTokenization(tokenizerDigest: "a", sequenceLength: 8) { _ in [1, 2] }
        let sequence = TrainingSequence(tokens: [1, 2], loss: LossMask([false, true]))
        tokenization.rows = RowTokenization(
            encode: { _, _ in sequence }, chat: { _, _ in ChatRow(text: "a chat", sequence: sequence) },
            decode: { _ in "tokens" })
        let store = try CorpusStore(folder: folder.url, tokenization: tokenization)
        return (try? CorpusIngestion(into: store, maximumRecords: 1).run(Array(record.text.utf8), form: .object)) != nil
    }
}

extension InfluenceQuery {
    fileprivate var keepingAllScores: InfluenceQuery {
        var query = self
        query.allScores = true
        return query
    }
}
