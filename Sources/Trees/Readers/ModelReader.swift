import Files
import JSON

/// Opens the model of another library.
public enum ModelReader {
    /// Reads a LightGBM text model, or an XGBoost model in JSON or UBJSON, whatever the file's name is.
    ///
    /// - Throws: ``TreesError``.
    public static func read(path: String, name: String? = nil) throws -> Forest {
        let name = name ?? path
        let bytes: [UInt8]
        do {
            let file = try FileContents(path: path)
            guard file.length <= TreeLimits.modelSize else {
                throw TreesError.tooMany(file: name, what: "bytes", limit: TreeLimits.modelSize)
            }
            bytes = try file.read(at: 0, count: file.length)
        } catch FileContentsError.unreadable(let reason) {
            throw TreesError.unreadable(file: name, reason: reason)
        }
        return try read(bytes, name: name)
    }

    /// - Throws: ``TreesError``.
    public static func read(_ bytes: [UInt8], name: String) throws -> Forest {
        let start = bytes.prefix(64)
        if start.starts(with: "tree".utf8), start.dropFirst(4).first.map({ $0 == 0x0a || $0 == 0x0d }) ?? true {
            return try LightGBMReader(bytes, file: name).forest()
        }
        if start.first == UInt8(ascii: "{") {
            // An object's first name begins with its length in UBJSON, and with a quotation mark in JSON.
            let second = start.dropFirst().first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
            let tree: ModelValue
            if second == UInt8(ascii: "\"") || second == UInt8(ascii: "}") {
                do {
                    tree = ModelValue(try JSONReader.read(bytes))
                } catch {
                    throw TreesError.malformed(
                        file: name, line: error.line, field: "column \(error.column)",
                        expected: "a whole JSON document",
                        found: "a mistake: \(error.reason)")
                }
            } else {
                tree = try UBJSONReader.read(bytes, file: name)
            }
            return try XGBoostReader(file: name, root: tree).forest()
        }
        throw foreign(bytes, name: name)
    }

    private static func foreign(_ bytes: [UInt8], name: String) -> TreesError {
        let export =
            "Save the model as its library exports it: booster.save_model(\"model.txt\") in LightGBM, "
            + "save_model(\"model.json\") in XGBoost."
        let head = bytes.prefix(16)
        // Pickle's protocols 2 to 5 begin with 0x80 and their number; older ones with an opcode of text.
        if head.first == 0x80, (2...5).contains(head.dropFirst().first ?? 0) || bytes.last == UInt8(ascii: ".") {
            return .foreign(
                file: name, found: "a Python pickle, which can run any program when it is read, and is never read",
                advice: export + " A scikit-learn model has no such form: train one of these libraries instead.")
        }
        if head.starts(with: [0x50, 0x4b, 0x03, 0x04]) || head.starts(with: [0x1f, 0x8b]) {
            return .foreign(file: name, found: "a compressed archive", advice: "Decompress it. " + export)
        }
        if head.starts(with: "binf".utf8) {
            return .foreign(file: name, found: "an XGBoost model in its old binary form", advice: export)
        }
        if head.starts(with: "CBM1".utf8) {
            return .foreign(
                file: name, found: "a CatBoost model",
                advice:
                    "CatBoost's leaves are no single Newton steps on all rows, so no row's influence can be computed from it."
            )
        }
        return .foreign(file: name, found: bytes.isEmpty ? "an empty file" : "a file of another kind", advice: export)
    }
}

/// A value of a model's file: numbers keep their double precision.
enum ModelValue: Sendable, Equatable {
    case null
    case boolean(Bool)
    case number(Double)
    case string(String)
    case numbers([Double])
    case array([ModelValue])
    case object([String: ModelValue])

    /// - Complexity: Linear; the depth is bounded by that of ``JSONReader``.
    init(_ tree: JSONTree) {
        switch tree {
        case .null: self = .null
        case .boolean(let value): self = .boolean(value)
        case .number(let digits): self = .number(Double(digits) ?? .nan)
        case .string(let text): self = .string(text)
        case .array(let elements):
            var numbers: [Double] = []
            numbers.reserveCapacity(elements.count)
            for element in elements {
                guard case .number(let digits) = element else { break }
                numbers.append(Double(digits) ?? .nan)
            }
            self = numbers.count == elements.count ? .numbers(numbers) : .array(elements.map { ModelValue($0) })
        case .object(let members):
            self = .object(
                Dictionary(members.map { ($0.name, ModelValue($0.value)) }, uniquingKeysWith: { first, _ in first }))
        }
    }

    subscript(name: String) -> ModelValue? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }

    /// The value for an error message.
    var shown: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .number(let value): "\(value)"
        case .string(let text): "\"\(text.prefix(40))\""
        case .numbers(let numbers): "\(numbers.count) numbers"
        case .array(let elements): "a list of \(elements.count)"
        case .object: "an object"
        }
    }
}
