import Files
import Foundation
import HTTP
import HTTPTypes
import JSON

extension IdempotencyKey {
    /// The key of a request, from its `Idempotency-Key` field.
    ///
    /// - Parameter body: Bodies are the same request if they are the same JSON, whatever the order of members.
    /// - Throws: A ``Problem`` with status 400 if the field is no key.
    init?(of request: Request, body: JSONTree) throws(Problem) {
        guard let name = HTTPField.Name("Idempotency-Key"), let field = request.headers[name] else { return nil }
        // A quoted string, as the draft has it, or the bare text that many clients send.
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
    /// Takes a JSON value: numbers as they are spelt, members in the order of their names' bytes.
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
