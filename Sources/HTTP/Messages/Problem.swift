import Foundation
import HTTPTypes

/// An error as clients see it: `application/problem+json` (RFC 9457).
///
/// Handlers throw it; the router and the connection answer with it. `type` is what programs compare and does not change
/// between releases; `detail` is for people, names what was wrong and says what to do.
public struct Problem: Error, Sendable, Equatable {
    /// A URI reference that names the kind of problem, such as `/problems/unknown-route`.
    public var type: String
    /// What the kind is called, the same for every problem of the type.
    public var title: String
    public var status: HTTPResponse.Status
    /// What is wrong this time and what to do about it.
    public var detail: String
    /// The member of the request's body, the query item or the header field that is at fault, such as `candidates.limit`.
    public var field: String?
    /// The line of the request's body that is at fault, from 1, where it is made of lines.
    public var line: Int?
    /// A URI reference that names this occurrence. Where it is nil, the request's path is sent.
    public var instance: String?
    /// Fields that go with the response, such as Allow or Retry-After.
    public var headers: HTTPFields

    public init(
        type: String, title: String, status: HTTPResponse.Status, detail: String, field: String? = nil,
        instance: String? = nil, headers: HTTPFields = [:]
    ) {
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.field = field
        self.instance = instance
        self.headers = headers
    }

    public init(
        _ kind: ProblemKind, detail: String, field: String? = nil, line: Int? = nil, headers: HTTPFields = [:]
    ) {
        self.init(
            type: kind.type, title: kind.title, status: kind.status, detail: detail, field: field, headers: headers)
        self.line = line
    }

    /// The response to send.
    ///
    /// - Parameter path: The path of the request, for `instance`.
    public func response(path: String? = nil) -> Response {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        // Problems tell of a moment; a cache that kept one would go on telling it.
        if !headers.contains(.cacheControl) { headers[.cacheControl] = "no-store" }
        return Response(status: status, headers: headers, body: .bytes(json(path: path)))
    }

    /// The members in the order in which RFC 9457 section 3.1 has them.
    private func json(path: String?) -> [UInt8] {
        let members: [(String, String?)] = [
            ("type", quoted(type)), ("title", quoted(title)), ("status", String(status.code)),
            ("detail", quoted(detail)), ("field", field.map(quoted)),
            ("line", line.map(String.init)), ("instance", (instance ?? path).map(quoted)),
        ]
        let pairs = members.compactMap { name, value in value.map { "\"\(name)\": \($0)" } }
        return Array("{\(pairs.joined(separator: ", "))}\n".utf8)
    }

    private func quoted(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        // Encoding a string fails for no string; the empty one stands in for the impossible.
        let bytes = (try? encoder.encode(text)) ?? Data("\"\"".utf8)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Problem: LocalizedError, CustomStringConvertible {
    public var description: String { "\(status.code) \(title): \(detail)" }
    public var errorDescription: String? { description }
}
