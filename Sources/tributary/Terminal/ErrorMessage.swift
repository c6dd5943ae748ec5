import Foundation

/// An error as one line for people.
struct ErrorMessage: CustomStringConvertible {
    let description: String

    init(_ error: any Error) {
        let text =
            switch error {
            case let error as DecodingError: Self.message(of: error)
            // The descriptions of these errors are for programmers.
            case let error as CocoaError: Self.message(of: error)
            case let error where type(of: error) is NSError.Type: error.localizedDescription
            default: "\(error)"
            }
        description = text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func message(of error: CocoaError) -> String {
        let cause = error.underlying.map { $0 as NSError }
        let reason =
            cause?.domain == NSPOSIXErrorDomain
            ? String(cString: strerror(Int32(cause?.code ?? 0))) : error.localizedDescription
        return (error.filePath.map { "\($0): " } ?? "") + reason
    }

    private static func message(of error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context):
            located("expected \(words(for: type))", context.codingPath)
        case .valueNotFound(let type, let context):
            located("expected \(words(for: type)), found null", context.codingPath)
        case .keyNotFound(let key, let context):
            located("expected a value, but the field is missing", context.codingPath + [key])
        case .dataCorrupted(let context):
            located(context.debugDescription, context.codingPath)
        @unknown default:
            "the data is not as expected"
        }
    }

    private static func located(_ text: String, _ path: [any CodingKey]) -> String {
        guard !path.isEmpty else { return text }
        let field = path.reduce(into: "") { field, key in
            if let index = key.intValue {
                field += "[\(index)]"
            } else {
                field += (field.isEmpty ? "" : ".") + key.stringValue
            }
        }
        return "\(field): \(text)"
    }

    private static func words(for type: Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is any ExpressibleByArrayLiteral.Type: "a list"
        default: "an object"
        }
    }
}

/// Writes lines to standard error, if it can be written to, with control characters escaped.
func printError(_ text: String) {
    try? FileHandle.standardError.write(contentsOf: Data((text.harmless + "\n").utf8))
}
