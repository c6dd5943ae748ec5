import Foundation
import JSON

/// Reads fields of a `config.json`, and names those that are missing or of the wrong type.
struct ModelConfiguration {
    private let fields: [String: Any]
    private let path: String

    init(json: Data) throws {
        let tree: JSONTree
        do {
            tree = try JSONReader.read(Array(json))
        } catch {
            throw CheckpointError.malformedConfiguration(
                field: "the file", expected: "a JSON object",
                found: "text that is not JSON (line \(error.line), column \(error.column): \(error.reason))")
        }
        guard let fields = tree.foundationValue as? [String: Any] else {
            throw CheckpointError.malformedConfiguration(
                field: "the file", expected: "a JSON object", found: "another JSON value")
        }
        self.init(fields: fields, path: "")
    }

    /// Fields made from another format.
    init(fields: [String: Any]) {
        self.init(fields: fields, path: "")
    }

    private init(fields: [String: Any], path: String) {
        self.fields = fields
        self.path = path
    }

    /// Whether the field exists, even as null.
    func contains(_ name: String) -> Bool { fields[name] != nil }

    /// Refuses fields with other names, unless they are null.
    func refuseFields(besides known: [String]) throws {
        guard let other = fields.keys.filter({ !known.contains($0) && present($0) != nil }).min() else { return }
        throw CheckpointError.unsupportedOption(
            field: path + other, found: shown(other),
            supported: "no such field (known here are \(known.joined(separator: ", ")))")
    }

    /// A nested object; nil if the field is absent or null.
    func object(_ name: String) throws -> ModelConfiguration? {
        try value(name, "an object") { $0 as? [String: Any] }.map {
            ModelConfiguration(fields: $0, path: path + name + ".")
        }
    }

    func string(_ name: String) throws -> String? { try value(name, "a string") { $0 as? String } }

    func strings(_ name: String) throws -> [String]? { try value(name, "a list of strings") { $0 as? [String] } }

    /// A list of any kind of entries; nil if the field is absent or null.
    func list(_ name: String) throws -> [Any]? { try value(name, "a list") { $0 as? [Any] } }

    func boolean(_ name: String, default fallback: Bool) throws -> Bool {
        try value(name, "true or false", Self.boolean) ?? fallback
    }

    func number(_ name: String) throws -> Double? {
        try value(name, "a number") { value in
            guard let number = value as? NSNumber, Self.boolean(value) == nil, number.doubleValue.isFinite else {
                return nil
            }
            return number.doubleValue
        }
    }

    private func value<Value>(_ name: String, _ expected: String, _ read: (Any) -> Value?) throws -> Value? {
        guard let found = present(name) else { return nil }
        guard let value = read(found) else { throw malformed(name, expected: expected) }
        return value
    }

    /// A positive number; nil if the field is absent or null.
    func positive(_ name: String) throws -> Float? {
        guard let value = try number(name) else { return nil }
        guard Float(value) > 0, Float(value).isFinite else { throw malformed(name, expected: "a positive number") }
        return Float(value)
    }

    /// A positive number, or the fallback if the field is absent; nil if it is null.
    func positive(_ name: String, whenAbsent fallback: Float?) throws -> Float? {
        contains(name) ? try positive(name) : fallback
    }

    /// The number that is added to a variance before the square root.
    func epsilon(_ name: String, default fallback: Double) throws -> Float {
        try positive(name) ?? Float(fallback)
    }

    /// A dimension: at least 1, and at most a number far above any model's.
    func dimension(_ name: String, default fallback: Int? = nil) throws -> Int {
        guard let value = try number(name) else {
            guard let fallback else { throw malformed(name, expected: "a number") }
            return fallback
        }
        guard value >= 1, value <= 16_777_216, value == value.rounded() else {
            throw malformed(name, expected: "a whole number from 1 to 16777216")
        }
        return Int(value)
    }

    /// Refuses a value other than the supported ones; the field is allowed to be absent.
    func require(_ name: String, oneOf supported: [String]) throws {
        guard let found = try string(name), !supported.contains(found) else { return }
        throw CheckpointError.unsupportedOption(
            field: path + name, found: "\"\(found)\"", supported: supported.joined(separator: " or "))
    }

    func require(_ name: String, toBe supported: Bool) throws {
        guard try boolean(name, default: supported) != supported else { return }
        throw CheckpointError.unsupportedOption(field: path + name, found: "\(!supported)", supported: "\(supported)")
    }

    /// Whether a field is absent, null, false, or an empty list or object.
    func hasNothing(_ name: String) -> Bool {
        switch present(name) {
        case nil: true
        case let list as [Any]: list.isEmpty
        case let object as [String: Any]: object.isEmpty
        case let value?: Self.boolean(value) == false
        }
    }

    /// A field's value as in the file.
    func shown(_ name: String) -> String { present(name).map(Self.shown) ?? "nothing" }

    /// The name of this object.
    var name: String { path.isEmpty ? "the file" : String(path.dropLast()) }

    /// A field's name after those of the objects around it.
    func qualified(_ name: String) -> String { path + name }

    private func present(_ name: String) -> Any? {
        guard let value = fields[name], !(value is NSNull) else { return nil }
        return value
    }

    /// The value of a JSON `true` or `false`; nil for other values.
    ///
    /// Foundation reads both as the numbers 1 and 0, and casts 1 and 0 to `Bool`; only the stored type distinguishes them.
    private static func boolean(_ value: Any) -> Bool? {
        guard let number = value as? NSNumber, String(cString: number.objCType) == "c" else { return nil }
        return number.boolValue
    }

    /// - Parameter found: The field's value, if nil.
    func malformed(_ name: String, expected: String, found: String? = nil) -> CheckpointError {
        .malformedConfiguration(field: path + name, expected: expected, found: found ?? shown(name))
    }

    private static func shown(_ value: Any) -> String {
        if let boolean = boolean(value) { return "\(boolean)" }
        return switch value {
        case let text as String: SafetensorsError.quoted(text)
        case is [String: Any]: "an object"
        case is [Any]: "a list"
        default: "\(value)"
        }
    }
}

extension JSONTree {
    /// The value as a Foundation object.
    fileprivate var foundationValue: Any {
        switch self {
        case .null: NSNull()
        case .boolean(let value): NSNumber(value: value)
        case .number(let digits):
            Int(digits).map { NSNumber(value: $0) } ?? NSNumber(value: Double(digits) ?? .infinity)
        case .string(let text): text
        case .array(let elements): elements.map(\.foundationValue)
        case .object(let members):
            Dictionary(members.map { ($0.name, $0.value.foundationValue) }) { first, _ in first }
        }
    }
}
