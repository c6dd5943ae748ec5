import Files
import Foundation
import HTTP
import HTTPTypes
import JSON

/// A request's JSON.
extension Request {
    /// The body as JSON.
    ///
    /// - Throws: A ``Problem`` with status 400 if it is not JSON.
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

    /// The decompressed body.
    ///
    /// The bytes that decompression adds count towards the limit on the bodies of all running requests.
    ///
    /// - Parameter limit: The most bytes of the decompressed body.
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
    /// Decodes a value of the request.
    ///
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
