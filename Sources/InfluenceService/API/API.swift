import Attribution
import Foundation
import HTTP
import HTTPTypes
import Logging

/// The parts of the server that the handlers of all calls share.
struct API: Sendable {
    let configuration: Configuration
    let workspace: URL
    let store: JobStore
    let runner: QueryRunner
    let readiness: Readiness
    let authenticator: Authenticator
    let metrics: ServiceMetrics
    /// Nil if it is not installed.
    let dashboard: Dashboard?
    /// Nil if it is not installed.
    let client: PythonClient?
    let logger: Logger
    let responses: ResponseBudget
    let lookups = BlockingLane("tributary.lookups", width: 4, qualityOfService: .userInitiated)
    /// For checks of queries. A query can have many ids, each of which is looked up, and other lookups must not wait for that.
    let validations = BlockingLane("tributary.validations", width: 2, qualityOfService: .userInitiated)
    let completions: CompletionLane
    let resultMaking = BlockingLane("tributary.results", width: 2, qualityOfService: .userInitiated)
    /// For additions to the corpus, which run one at a time.
    let ingestions = BlockingLane("tributary.ingestions", width: 1, qualityOfService: .default)

    var heartbeat = Duration.seconds(15)
    var eventInterval = Duration.milliseconds(200)

    var operations: [Operation] {
        let operations =
            influenceOperations + scoreOperations + jobOperations + candidateScoresOperations + corpusOperations
            + modelOperations
            + healthOperations + problemOperations + dashboardOperations + clientOperations
        return operations + descriptionOperations(of: operations)
    }

    var routes: [Route] {
        let operations = operations
        return operations.map { operation in
            route(operation, lookup: operations.first { $0.pattern == operation.pattern && $0.method == .get })
        }
    }

    /// Refuses a request whose head already shows that the call cannot accept it.
    ///
    /// - Parameter counting: Whether the request counts towards its token's limit of requests per minute.
    private func check(
        _ request: Request, for operation: Operation, counting: Bool
    ) throws(Problem) -> AccessToken? {
        var caller: AccessToken?
        if let scope = operation.scope { caller = try authenticator.admit(request, to: scope, counting: counting) }
        try request.refuseItems(besides: operation.queryItems)
        try operation.body?.checkForm(of: request)
        return caller
    }

    /// A call as a route. Its handler can throw the errors of the engine and the store, besides ``Problem``s.
    ///
    /// - Parameter lookup: The GET call at the same path.
    private func route(_ operation: Operation, lookup: Operation?) -> Route {
        Route(
            operation.method, operation.pattern, summary: operation.summary,
            screen: { request in
                _ = try RequestScope.$identifier.withValue(request.id) {
                    try check(request, for: operation, counting: false)
                }
            },
            handler: { request in
                try await RequestScope.$identifier.withValue(request.id) {
                    do {
                        let caller = try check(request, for: operation, counting: true)
                        var response = try await Authenticator.$caller.withValue(caller) {
                            try await request.answered(with: operation.handler, lookingUpWith: lookup?.handler)
                        }
                        response = try responses.counted(response)
                        response.annotations["token"] = caller?.id
                        response.annotations["job_id"] = job(of: request, response)
                        return response
                    } catch let error as QueryError {
                        throw Problem(QueryFailure(error))
                    } catch let error as IngestionError {
                        throw Problem(error)
                    } catch let error as SubmissionError {
                        throw Problem(error)
                    } catch JobStoreError.diskFull {
                        throw Problem.storageFull
                    }
                }
            })
    }

    /// The job that a request names in its path or has created, for the log.
    private func job(of request: Request, _ response: Response) -> String? {
        let start = "/v1/jobs/"
        let paths = [response.headers[.location], response.headers[.contentLocation], request.path]
        let path = paths.compactMap { $0 }.first { $0.hasPrefix(start) }
        return path.map { String($0.dropFirst(start.count).prefix { $0 != "/" }) }
    }

    /// Logs a user's query, if the configuration asks for that.
    func log(_ query: InfluenceQuery, of job: JobIdentifier? = nil) {
        guard configuration.logging.queries else { return }
        let label = QueryLabel(query)
        var metadata: Logger.Metadata = ["prompt": "\(label.prompt)", "completion": "\(label.completion)"]
        if let others = label.others { metadata["others"] = "\(others)" }
        if let job { metadata["job_id"] = "\(job)" }
        logger.info("query", metadata: metadata)
    }

    /// Logs the prompt of a completion, if the configuration asks for that.
    func log(prompt: String) {
        guard configuration.logging.queries else { return }
        logger.info("query", metadata: ["prompt": "\(prompt)"])
    }
}

extension Response {
    /// A value as JSON. Caches must not keep it, because it describes one moment.
    static func json(
        encoding value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        return .json(Array((try jsonText(value) + "\n").utf8), status: status, headers: headers)
    }
}
