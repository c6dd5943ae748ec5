import Attribution
import Foundation
import HTTP
import HTTPTypes

extension API {
    var candidateScoresOperations: [Operation] {
        let parameters: [Operation.Parameter] = [
            .path("id", "The job's id.", schema: .string("An id.")),
            .query(
                "query", "The index of the query in the job, from 0.",
                schema: .integer("An index.", in: Self.queryIndices, default: 0)),
            .query(
                "cursor", "The next_cursor of the previous page, or how many candidates to leave out.",
                schema: .string("A cursor.", pattern: PageQuery.cursorPattern)),
        ]
        let problems: [ProblemKind] = [
            .unknownJob, .unknownRoute, .scoresNotKept, .jobNotFinished, .jobCancelled, .unusableField, .queryFailed,
            .jobAbandoned, .starting, .startFailed, .stopping,
        ]
        return [
            Operation(
                method: .get, pattern: "/v1/jobs/{id}/scores", id: "getAllScores", tag: .jobs, scope: .read,
                summary: "Get the scores of all candidates as JSON, NDJSON, CSV or a NumPy array",
                details: """
                    For a query with all_scores. The candidates are in the order of the corpus, and those that the result leaves out \
                    because their score is zero or of the other sign are among them. The field Accept chooses the form: JSON, the \
                    default, is sent in pages of at most limit scores; the other forms have all candidates from the cursor on, \
                    whatever limit says.
                    """,
                parameters: parameters + [.limit(default: PageQuery.limits.upperBound)],
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The scores.",
                            forms: [
                                ("application/json", .reference(.allScores)),
                                (
                                    CandidateScoresFormat.ndjson.mediaType,
                                    .string("One line per candidate: id, score, rescored.")
                                ),
                                (
                                    CandidateScoresFormat.csv.mediaType,
                                    .string("One line per candidate (RFC 4180): id, score, rescored.")
                                ),
                                (
                                    CandidateScoresFormat.npy.mediaType,
                                    .string("A NumPy array (.npy) of Float64, one number per candidate.")
                                ),
                            ]))
                ],
                problems: problems + [.notAcceptable], handler: getAllScores),
            Operation(
                method: .get, pattern: "/v1/jobs/{id}/scores/ids", id: "getAllScoresIds", tag: .jobs, scope: .read,
                summary: "Get the ids of all candidates, in the order of their scores' array",
                parameters: parameters,
                answers: [
                    Operation.Answer(
                        status: .ok,
                        content: .init(
                            description: "The ids.",
                            forms: [(CandidateScoresFormat.ndjson.mediaType, .string("One JSON string per line."))]))
                ],
                problems: problems, handler: getAllScoresIds),
        ]
    }

    private static let queryIndices = 0...999_999

    @Sendable private func getAllScores(_ request: Request) async throws -> Response {
        let json = "application/json"
        let types = [json] + CandidateScoresFormat.allCases.map(\.mediaType)
        guard let type = ContentNegotiation.choose(request.headers[.accept], from: types) else {
            throw Problem.notAcceptable(available: types)
        }
        let limit = try request.limit(default: PageQuery.limits.upperBound)
        let asked = try await askedScores(request)
        if let format = CandidateScoresFormat.allCases.first(where: { $0.mediaType == type }) {
            return try stream(.table(format), of: asked, contentType: format.contentType)
        }
        return try .json(
            encoding: try await page(of: asked, limit: limit), headers: [.vary: "Accept", .cacheControl: "no-store"])
    }

    @Sendable private func getAllScoresIds(_ request: Request) async throws -> Response {
        try stream(
            .identifiers, of: try await askedScores(request), contentType: CandidateScoresFormat.ndjson.mediaType)
    }

    private struct AskedScores {
        var engine: any ServiceEngine
        var job: JobIdentifier
        var query: Int
        var count: Int
        var start: Int
    }

    /// - Throws: A ``Problem``: 409 if the job has not ended, was cancelled, or keeps no such scores; its own if the query failed.
    private func askedScores(_ request: Request) async throws -> AskedScores {
        let snapshot = try await snapshot(of: request)
        let job = snapshot.job
        let indices = 0...max(job.queryCount - 1, 0)
        let query =
            try request.item("query", expected: indices.expected) { text in
                Int(text).flatMap { indices.contains($0) ? $0 : nil }
            } ?? 0
        guard job.status.isFinal else { throw Problem.jobNotFinished(job) }
        guard job.status != .cancelled else { throw Problem.jobCancelled(job.id) }
        if case .failure(let failure) = try await store.outcome(of: job.id, at: query) { throw Problem(failure) }
        guard job.hasResult else {
            throw Problem(job.failure ?? QueryFailure(kind: .failed, detail: "the job failed"))
        }
        let count = try await store.candidateCount(of: job.id, at: query)
        guard count > 0 || snapshot.queries.indices.contains(query) && snapshot.queries[query].allScores else {
            throw Problem.scoresNotKept(job.id)
        }
        let cursor = try request.item("cursor", expected: "the next_cursor of an earlier page") { text in
            Int(text).flatMap { $0 >= 1 && $0 <= count && String($0) == text ? $0 : nil }
        }
        return AskedScores(
            engine: try readiness.engine(), job: job.id, query: query, count: count, start: cursor ?? 0)
    }

    private func stream(
        _ content: CandidateScoresStream.Content, of asked: AskedScores, contentType: String
    ) throws -> Response {
        let chunk = min(asked.count, JobStore.candidatesPerChunk)
        let stream = CandidateScoresStream(
            store: store, engine: asked.engine, job: asked.job, query: asked.query, range: asked.start..<asked.count,
            content: content, lane: resultMaking, lease: try responses.lease(chunk * Self.bytesPerCandidate))
        var response = Response(headers: [.vary: "Accept", .cacheControl: "no-store"], body: .stream(stream))
        response.headers[.contentType] = contentType
        return response
    }

    /// The memory of a candidate while its line is made: its id three times, and the line.
    private static let bytesPerCandidate = 512

    private func page(of asked: AskedScores, limit: Int) async throws -> CandidateScoresPage {
        var page = CandidateScoresPage(candidates: asked.count, scores: [])
        var position = asked.start
        while position < asked.count, page.scores.count < limit {
            guard let chunk = try await store.candidateScores(of: asked.job, at: asked.query, from: position) else {
                throw Problem.unknownJob(asked.job.description)
            }
            let taken = min(chunk.count, limit - page.scores.count)
            let rowids = Array(chunk.rowids.prefix(taken))
            let identifiers = try await lookups.run { try asked.engine.identifiers(rowids: rowids) }
            page.scores += identifiers.enumerated().map { index, id in
                let score = chunk.scores[index]
                return CandidateScoresPage.Row(
                    id: id, score: score.isFinite ? score : nil, rescored: chunk.isRescored[index])
            }
            position += taken
        }
        if position < asked.count { page.nextCursor = String(position) }
        return page
    }
}
