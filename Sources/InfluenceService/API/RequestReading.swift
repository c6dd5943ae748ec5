import Files
import Foundation
import HTTP
import HTTPTypes
import JSON
import Limits

// What the calls read of a request: its body, then its query items, then its header fields.

// MARK: - Body

extension Request {
    func json() throws(Problem) -> JSONTree {
        do {
            return try JSONReader.read(body)
        } catch {
            throw .malformedJSON(error)
        }
    }

    /// The body's media type in lower case, without parameters; empty if the request does not have one.
    var mediaType: String {
        // By bytes, because another character is canonically equivalent to a semicolon.
        let type = Substring((headers[.contentType] ?? "").utf8.prefix { $0 != UInt8(ascii: ";") })
        return type.trimmingCharacters(in: .whitespaces).lowercased()
    }

    /// The body's content coding in lower case; `identity` if it has none.
    var contentCoding: String {
        let coding = headers[.contentEncoding]?.lowercased() ?? "identity"
        // RFC 9110 section 8.4.1.3.
        return coding == "x-gzip" ? "gzip" : coding
    }

    /// The bytes that decompression adds count towards the limit on the bodies of all running requests.
    ///
    /// - Throws: A ``Problem``: 400 if the body is damaged, 413 if it is too long, 503 if the other running requests leave too little
    ///   memory for it.
    func decompressedBody(limit: Int) throws -> [UInt8] {
        do {
            if contentCoding == "gzip" {
                return try GzipReader.decompress(body, limit: limit, willGrow: holdMore)
            }
            guard body.count <= limit else { throw GzipError.tooLarge(limit: limit) }
            return body
        } catch GzipError.tooLarge {
            throw Problem(
                .bodyTooLarge, detail: "The body has more than \(limit) bytes before compression: send it in parts.")
        } catch GzipError.corrupt(let reason) {
            throw Problem.malformedCompression("\(reason).")
        } catch GzipError.truncated {
            throw Problem.malformedCompression("the compressed data is incomplete.")
        }
    }
}

extension Operation.Content {
    /// - Throws: A ``Problem`` with status 415 and the header field of RFC 9110 section 15.5.16, if the body has none of the forms.
    func checkForm(of request: Request) throws(Problem) {
        let types = forms.map(\.mediaType)
        guard types.contains(request.mediaType) else {
            let sent = request.headers[.contentType] ?? ""
            let found = sent.isEmpty ? "The body has no Content-Type" : "The body's Content-Type is \"\(sent)\""
            throw .unsupportedMediaType(
                "\(found): send \(types.joined(separator: " or ")).", headers: [.accept: types.joined(separator: ", ")])
        }
        let codings = codings + ["identity"]
        guard codings.contains(request.contentCoding) else {
            let advice = self.codings.map { "compressed with \($0), or " }.joined()
            throw .unsupportedMediaType(
                "The body's Content-Encoding is \"\(request.contentCoding)\": send it \(advice)without one.",
                headers: [.acceptEncoding: codings.joined(separator: ", ")])
        }
    }
}

extension JSONTree {
    /// - Parameter path: The value's path in the body.
    /// - Throws: A ``Problem`` with status 422 and the path of the field.
    func decoded<Value: Decodable>(as type: Value.Type, at path: [any CodingKey] = []) throws -> Value {
        do {
            return try Value(from: JSONTreeDecoder(tree: self, codingPath: path))
        } catch let error as DecodingError {
            switch error {
            case .keyNotFound(let key, let context):
                throw Problem.unusableField(Self.text(of: context.codingPath + [key]), context.debugDescription)
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
                throw Problem.unusableField(Self.text(of: context.codingPath), context.debugDescription)
            @unknown default:
                throw Problem.unusableField("", "cannot be read")
            }
        }
    }
}

// MARK: - Query items

extension Request {
    func item<Value>(_ name: String, expected: String, _ read: (String) -> Value?) throws(Problem) -> Value? {
        guard let text = query(name) else { return nil }
        guard let value = read(text) else {
            throw .invalidField(name, detail: "The query item \"\(name)\" must be \(expected), but is \"\(text)\".")
        }
        return value
    }

    /// Refuses unknown query items, and known ones that occur twice: a misspelt one, or a second one, would otherwise be ignored
    /// silently.
    func refuseItems(besides known: [String]) throws(Problem) {
        var seen: Set<String> = []
        for item in query {
            // By bytes, because Swift compares strings by canonical equivalence.
            guard let name = known.first(where: { $0.utf8.elementsEqual(item.name.utf8) }) else {
                let list = known.isEmpty ? "this call has none" : "this call has \(known.joined(separator: ", "))"
                throw .invalidField(item.name, detail: "The query item \"\(item.name)\" is unknown; \(list).")
            }
            guard seen.insert(name).inserted else {
                throw .invalidField(name, detail: "The query item \"\(name)\" occurs twice: send it once.")
            }
        }
    }
}

/// The page of a list that a client asks for with the query items `limit` and `cursor`.
struct PageQuery: Equatable {
    var limit: Int
    /// The `next_cursor` of the previous page; nil for the first page.
    var cursor: Int64?

    static let limits = 1...1_000
    static let cursors: ClosedRange<Int64> = 1...999_999_999_999_999_999
    static let cursorPattern = "^[1-9][0-9]{0,17}$"

    /// - Throws: ``Problem`` with status 400 and the item's name.
    init(_ request: Request, defaultLimit: Int) throws(Problem) {
        limit = try request.limit(default: defaultLimit)
        cursor = try request.item("cursor", expected: "the next_cursor of an earlier page") { text in
            guard let number = Int64(text), Self.cursors.allows(number), String(number) == text else { return nil }
            return number
        }
    }
}

extension Request {
    func limit(default fallback: Int) throws(Problem) -> Int {
        try item("limit", expected: PageQuery.limits.expected) { text in
            Int(text).flatMap { PageQuery.limits.allows($0) ? $0 : nil }
        } ?? fallback
    }
}

extension Operation.Parameter {
    static func limit(default fallback: Int) -> Operation.Parameter {
        .query(
            "limit", "How many to return at most.",
            schema: .integer("A number.", in: PageQuery.limits, default: fallback))
    }

    static let cursor = Operation.Parameter.query(
        "cursor", "The next_cursor of the previous page.",
        schema: .string("A cursor.", pattern: PageQuery.cursorPattern))
}

// MARK: - Header fields

/// The preferences of a client (RFC 7240).
struct Preferences: Equatable {
    /// How many seconds the client waits for the result itself.
    var wait: Int?

    /// Reads the `Prefer` fields. Unknown and malformed preferences are ignored, as section 2 requires; if one occurs twice, the first
    /// counts.
    init(_ headers: HTTPFields) {
        let fields = headers.filter { $0.name.canonicalName == "prefer" }
        for preference in fields.flatMap({ $0.value.split(separator: ",") }) where wait == nil {
            let pair = preference.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1)
                .map { $0.trimmingCharacters(in: .whitespaces) }
            guard pair.count == 2, pair[0].lowercased() == "wait" else { continue }
            let value = pair[1].trimmingCharacters(in: CharacterSet(charactersIn: "\""))
            if let seconds = Int(value), seconds >= 0 { wait = seconds }
        }
    }
}

/// Chooses among media types by the `Accept` field (RFC 9110 section 12.5.1).
enum ContentNegotiation {
    /// The available type that the client prefers; the first one of several equal ones.
    ///
    /// - Parameters:
    ///   - accept: The field's value; without one, every type is accepted.
    ///   - available: Types such as "text/csv", in the server's order of preference.
    /// - Returns: `nil` if the client accepts none of them.
    static func choose(_ accept: String?, from available: [String]) -> String? {
        guard let accept, !accept.trimmingCharacters(in: .whitespaces).isEmpty else { return available.first }
        let ranges = accept.split(separator: ",").map(Range.init)
        let rated = available.map { type in (type: type, quality: quality(of: type, in: ranges)) }
        let best = rated.map(\.quality).max() ?? 0
        return best > 0 ? rated.first { $0.quality == best }?.type : nil
    }

    /// The quality of the most specific range that contains the type.
    private static func quality(of type: String, in ranges: [Range]) -> Double {
        let wildcard = type.prefix { $0 != "/" } + "/*"
        for pattern in [type, String(wildcard), "*/*"] {
            if let range = ranges.first(where: { $0.pattern == pattern }) { return range.quality }
        }
        return 0
    }

    private struct Range {
        var pattern: String
        var quality = 1.0

        init(_ text: Substring) {
            let parts = text.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
            pattern = parts.first ?? ""
            for part in parts.dropFirst() where part.hasPrefix("q=") {
                // From 0 to 1 (RFC 9110 section 12.4.2). A malformed quality counts as 0.
                quality = Double(part.dropFirst(2)).flatMap { (0...1).contains($0) ? $0 : nil } ?? 0
            }
        }
    }
}

extension Request {
    /// Answers with a handler, if the conditions of If-Match and If-None-Match are met (RFC 9110 section 13).
    ///
    /// A safe request is answered first, and the state of the resource is taken from that answer. For other requests the state is looked up
    /// first; if that fails, the request would fail too, so the lookup's problem is the answer (section 13.2.1).
    ///
    /// - Parameter lookup: Answers a GET of the same path; nil if the path has no such call.
    /// - Throws: A ``Problem`` with status 412 if a condition is not met, and the errors of the handlers.
    func answered(
        with handler: Route.Handler, lookingUpWith lookup: Route.Handler?
    ) async throws -> Response {
        guard headers.contains(.ifMatch) || headers.contains(.ifNoneMatch) else { return try await handler(self) }
        if method == .get || method == .head {
            let response = try await handler(self)
            guard meetsPreconditions(of: response) else { throw Problem.preconditionFailed }
            return response
        }
        let current = try await lookup?(unconditional)
        guard meetsPreconditions(of: current) else { throw Problem.preconditionFailed }
        return try await handler(self)
    }

    private var unconditional: Request {
        var request = self
        request.method = .get
        (request.query, request.body) = ([], [])
        for name in [HTTPField.Name.ifMatch, .ifNoneMatch, .accept] { request.headers[name] = nil }
        return request
    }
}

extension IdempotencyKey {
    /// - Parameter body: Two bodies are the same request if they are the same JSON, in any order of members.
    /// - Throws: A ``Problem`` with status 400 if the field is not a key.
    init?(of request: Request, body: JSONTree) throws(Problem) {
        guard let name = HTTPField.Name("Idempotency-Key"), let field = request.headers[name] else { return nil }
        // A quoted string, as in the draft, or the bare text that many clients send.
        let isQuoted = field.count >= 2 && field.hasPrefix("\"") && field.hasSuffix("\"")
        let text = isQuoted ? String(field.dropFirst().dropLast()) : field
        guard (1...255).contains(text.utf8.count),
            text.utf8.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "\"") })
        else {
            throw .invalidField(
                "Idempotency-Key",
                detail: "The Idempotency-Key must be 1 to 255 visible ASCII characters without quotes, such as a UUID.")
        }
        var digest = ContentDigest()
        digest.update(body)
        self.init(text: text, owner: Authenticator.caller?.id ?? "", requestDigest: Data(digest.bytes))
    }
}

extension ContentDigest {
    /// Adds a JSON value: numbers as they are spelt, members in the order of their names' bytes.
    fileprivate mutating func update(_ tree: JSONTree) {
        switch tree {
        case .null: update("n")
        case .boolean(let value): update(value ? "t" : "f")
        case .number(let text): update(tagged: "#", text)
        case .string(let text): update(tagged: "s", text)
        case .array(let elements):
            update(tagged: "[", "\(elements.count)")
            for element in elements { update(element) }
        case .object(let members):
            update(tagged: "{", "\(members.count)")
            for member in members.sorted(by: { ExactString($0.name) < ExactString($1.name) }) {
                update(tagged: ":", member.name)
                update(member.value)
            }
        }
    }

    private mutating func update(tagged tag: String, _ text: String) {
        update(tag)
        update(UInt64(text.utf8.count))
        update(text)
    }
}
