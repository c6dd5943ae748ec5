import Foundation
import JSON

/// Reads fields of a `config.json`, and says by name what is missing or of the wrong type.
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

    /// Fields that are not read from a file but gathered from another format.
    init(fields: [String: Any]) {
        self.init(fields: fields, path: "")
    }

    private init(fields: [String: Any], path: String) {
        self.fields = fields
        self.path = path
    }

    /// Whether there is such a field, if only with null.
    func contains(_ name: String) -> Bool { fields[name] != nil }

    /// Refuses fields of other names, unless they are null.
    func refuseFields(besides known: [String]) throws {
        guard let other = fields.keys.filter({ !known.contains($0) && present($0) != nil }).min() else { return }
        throw CheckpointError.unsupportedOption(
            field: path + other, found: shown(other),
            supported: "no such field (known here are \(known.joined(separator: ", ")))")
    }

    /// A nested object, if it is there and not null.
    func object(_ name: String) throws -> ModelConfiguration? {
        guard let value = present(name) else { return nil }
        guard let nested = value as? [String: Any] else { throw wrongType(name, "an object", value) }
        return ModelConfiguration(fields: nested, path: path + name + ".")
    }

    func string(_ name: String) throws -> String? {
        guard let value = present(name) else { return nil }
        guard let text = value as? String else { throw wrongType(name, "a string", value) }
        return text
    }

    func strings(_ name: String) throws -> [String]? {
        guard let value = present(name) else { return nil }
        guard let texts = value as? [String] else { throw wrongType(name, "a list of strings", value) }
        return texts
    }

    /// A list of any kind of entries, if it is there and not null.
    func list(_ name: String) throws -> [Any]? {
        guard let value = present(name) else { return nil }
        guard let list = value as? [Any] else { throw wrongType(name, "a list", value) }
        return list
    }

    func boolean(_ name: String, default fallback: Bool) throws -> Bool {
        guard let value = present(name) else { return fallback }
        guard let boolean = Self.boolean(value) else { throw wrongType(name, "true or false", value) }
        return boolean
    }

    func number(_ name: String) throws -> Double? {
        guard let value = present(name) else { return nil }
        guard let number = value as? NSNumber, Self.boolean(value) == nil, number.doubleValue.isFinite else {
            throw wrongType(name, "a number", value)
        }
        return number.doubleValue
    }

    /// What is added to a variance before its root is taken.
    func epsilon(_ name: String, default fallback: Double) throws -> Float {
        let value = try number(name) ?? fallback
        guard Float(value) > 0, Float(value).isFinite else {
            throw CheckpointError.malformedConfiguration(
                field: path + name, expected: "a positive number", found: shown(name))
        }
        return Float(value)
    }

    /// A dimension: at least 1, and no larger than any model has.
    func dimension(_ name: String, default fallback: Int? = nil) throws -> Int {
        guard let value = try number(name) else {
            guard let fallback else {
                throw CheckpointError.malformedConfiguration(
                    field: path + name, expected: "a number", found: "nothing")
            }
            return fallback
        }
        guard value >= 1, value <= 16_777_216, value == value.rounded() else {
            throw CheckpointError.malformedConfiguration(
                field: path + name, expected: "a whole number from 1 to 16777216", found: shown(name))
        }
        return Int(value)
    }

    /// Refuses a value other than the supported ones; a field that is absent is as it should be.
    func require(_ name: String, oneOf supported: [String]) throws {
        guard let found = try string(name), !supported.contains(found) else { return }
        throw CheckpointError.unsupportedOption(
            field: path + name, found: "\"\(found)\"", supported: supported.joined(separator: " or "))
    }

    func require(_ name: String, toBe supported: Bool) throws {
        guard try boolean(name, default: supported) != supported else { return }
        throw CheckpointError.unsupportedOption(field: path + name, found: "\(!supported)", supported: "\(supported)")
    }

    /// Whether a field is absent, null, false, or a list or object of nothing.
    func hasNothing(_ name: String) -> Bool {
        switch present(name) {
        case nil: true
        case let list as [Any]: list.isEmpty
        case let object as [String: Any]: object.isEmpty
        case let value?: Self.boolean(value) == false
        }
    }

    /// A field's value as the file has it.
    func shown(_ name: String) -> String { present(name).map(Self.shown) ?? "nothing" }

    /// The name of the object itself.
    var name: String { path.isEmpty ? "the file" : String(path.dropLast()) }

    /// A field's name with those of the objects around it.
    func qualified(_ name: String) -> String { path + name }

    private func present(_ name: String) -> Any? {
        guard let value = fields[name], !(value is NSNull) else { return nil }
        return value
    }

    /// The value of a JSON `true` or `false`, and of nothing else.
    ///
    /// Foundation reads both as numbers, 1 and 0, and casts 1 and 0 to `Bool`; only the stored type tells them apart.
    private static func boolean(_ value: Any) -> Bool? {
        guard let number = value as? NSNumber, String(cString: number.objCType) == "c" else { return nil }
        return number.boolValue
    }

    private func wrongType(_ name: String, _ expected: String, _ found: Any) -> CheckpointError {
        .malformedConfiguration(field: path + name, expected: expected, found: Self.shown(found))
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
    /// The value as Foundation has it.
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
