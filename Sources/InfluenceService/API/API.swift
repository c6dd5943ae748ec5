import Attribution
import Foundation
import HTTP
import HTTPTypes
import Logging

/// What the routes work with.
struct API: Sendable {
    let configuration: Configuration
    let store: JobStore
    let batcher: QueryBatcher
    let readiness: Readiness
    let authenticator: Authenticator
    let logger: Logger
    /// For calls of the engine that look something up.
    let lookups = BlockingLane("tributary.lookups", width: 4, qualityOfService: .userInitiated)
    /// For calls of the engine that run the model.
    let completions = BlockingLane("tributary.completions", width: 1, qualityOfService: .default)

    /// Every route of the service.
    var routes: [Route] {
        let routes = influenceRoutes + jobRoutes + corpusRoutes + modelRoutes + healthRoutes
        return [landing(routes)] + routes
    }

    /// A route whose handler may throw the errors of the engine and the store besides ``Problem``s.
    ///
    /// - Parameters:
    ///   - items: The query items that the route knows.
    ///   - scope: What a caller's token must allow; nil for a route that is open to all.
    func route(
        _ method: HTTPRequest.Method, _ pattern: String, _ summary: String, items: [String] = [], scope: Scope? = .read,
        _ handler: @escaping @Sendable (Request) async throws -> Response
    ) -> Route {
        Route(method, pattern, summary: summary) { request in
            do {
                let caller = try scope.flatMap { try authenticator.admit(request, to: $0) }
                try request.refuseItems(besides: items)
                return try await Authenticator.$caller.withValue(caller) { try await handler(request) }
            } catch let error as QueryError {
                throw Problem(QueryFailure(error))
            } catch let SubmissionError.queueFull(queries, limit) {
                throw Problem.queueFull(queries: queries, limit: limit)
            } catch SubmissionError.stopping {
                throw Problem.stopping
            } catch JobStoreError.diskFull {
                throw Problem.storageFull
            }
        }
    }
}

extension Response {
    /// A value as JSON. Answers tell of a moment, and are not for caches.
    static func json(
        encoding value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) throws -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        return .json(Array((try jsonText(value) + "\n").utf8), status: status, headers: headers)
    }
}
