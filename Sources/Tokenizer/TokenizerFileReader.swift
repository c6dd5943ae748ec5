import Foundation

/// Reads one JSON file, and says what is wrong with it by file and field.
enum TokenizerFileReader {
    static func read<Fields: Decodable>(_ type: Fields.Type, from url: URL) throws(TokenizerError) -> Fields {
        try decode(type, from: try data(at: url), file: url.lastPathComponent)
    }

    static func data(at url: URL) throws(TokenizerError) -> Data {
        do {
            return try Data(contentsOf: url)
        } catch {
            guard FileManager.default.fileExists(atPath: url.path) else { throw .missingFile(url.path) }
            throw .unreadableFile(url.path, reason: error.localizedDescription)
        }
    }

    static func decode<Fields: Decodable>(
        _ type: Fields.Type, from data: Data, file: String
    ) throws(TokenizerError) -> Fields {
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            throw Self.error(for: error, in: data, file: file)
        } catch {
            throw .malformedJSON(file: file, reason: "\(error)")
        }
    }

    private static func error(for error: DecodingError, in data: Data, file: String) -> TokenizerError {
        switch error {
        case .keyNotFound(let key, let context):
            return .missingField(file: file, field: path(context.codingPath + [key]))
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            return .invalidField(
                file: file, field: path(context.codingPath), expected: name(of: type),
                found: "something else (\(context.debugDescription))")
        case .dataCorrupted(let context):
            guard !context.codingPath.isEmpty else { return unexplainedError(in: data, file: file) }
            return .invalidField(
                file: file, field: path(context.codingPath), expected: "a valid value",
                found: context.debugDescription)
        @unknown default:
            return .malformedJSON(file: file, reason: "\(error)")
        }
    }

    /// JSONDecoder does not say what is wrong with the JSON, nor that it is only a number that is not whole.
    private static func unexplainedError(in data: Data, file: String) -> TokenizerError {
        do {
            let json = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
            let (field, number) = firstNumberNotWhole(in: json, field: "") ?? ("a number", "another one")
            return .invalidField(file: file, field: field, expected: "a whole number", found: number)
        } catch {
            let reason = (error as NSError).userInfo[NSDebugDescriptionErrorKey] as? String
            return .malformedJSON(file: file, reason: reason ?? "\(error)")
        }
    }

    private static func firstNumberNotWhole(in json: Any, field: String) -> (field: String, number: String)? {
        switch json {
        case let object as [String: Any]:
            object.sorted { $0.key < $1.key }.lazy
                .compactMap { firstNumberNotWhole(in: $0.value, field: field.isEmpty ? $0.key : "\(field).\($0.key)") }
                .first
        case let list as [Any]:
            list.enumerated().lazy.compactMap { firstNumberNotWhole(in: $0.element, field: "\(field)[\($0.offset)]") }
                .first
        case let number as NSNumber:
            Int(exactly: number) == nil ? (field, "\(number)") : nil
        default:
            nil
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            return path.isEmpty ? key.stringValue : "\(path).\(key.stringValue)"
        }
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Int.Type: "a whole number"
        case is Double.Type: "a number"
        case is Bool.Type: "true or false"
        case is [Any].Type: "a list"
        case is [String: Any].Type: "an object"
        default: "another type"
        }
    }
}
