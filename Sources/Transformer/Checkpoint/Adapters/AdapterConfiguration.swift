import Foundation
import JSON

/// What the `adapter_config.json` of a LoRA adapter says.
///
/// `target_modules`, `layers_to_transform` and their like are not read: which modules have an adapter is known from the tensors.
/// `fan_in_fan_out` is not read either: as in PEFT, whether weights are stored transposed is known from the base. Nor is
/// `ensure_weight_tying`: PEFT saves a tied pair of embedding and head as the tensors of both.
struct AdapterConfiguration: Sendable {
    static let fileName = "adapter_config.json"

    enum Limits {
        static let bytes = 1 << 20
        static let ranks = 1...65_536
        static let patterns = 4_096
    }

    let folder: String
    /// `base_model_name_or_path`
    let base: String?
    private let rank: Int
    private let alpha: Double
    private let ranks: [(pattern: NamePattern, text: String, value: Int)]
    private let alphas: [(pattern: NamePattern, text: String, value: Double)]
    private let isRankStabilized: Bool
    /// The ends of the names of modules that were trained whole.
    private let savedModules: [String]
    /// `bias`: none, all or lora_only.
    let bias: String

    /// Reads the file of a folder.
    ///
    /// - Throws: ``AdapterError``.
    init(folder: String) throws {
        let path = URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent(Self.fileName).path
        let bytes: [UInt8]
        do {
            let contents = try FileContents(path: path)
            guard contents.count <= Limits.bytes else {
                throw AdapterError.unreadable(
                    folder: folder, reason: "is \(contents.count) bytes long; expected at most \(Limits.bytes)")
            }
            bytes = Array(try contents.bytes(0..<contents.count))
        } catch FileContentsError.missing {
            throw AdapterError.missingFile(Self.fileName, folder: folder)
        } catch let error as FileContentsError {
            throw AdapterError.unreadable(folder: folder, reason: "cannot be read (\(error))")
        }
        try self.init(json: bytes, folder: folder)
    }

    init(json: [UInt8], folder: String) throws {
        let tree: JSONTree
        do {
            tree = try JSONReader.read(json)
        } catch {
            throw AdapterError.unreadable(
                folder: folder, reason: "line \(error.line), column \(error.column): \(error.reason); expected JSON")
        }
        guard case .object(let members) = tree else {
            throw AdapterError.malformed(
                field: "the file", folder: folder, expected: "an object", found: Self.shown(tree))
        }
        let fields = Fields(tree: tree, folder: folder)
        guard let kind = try fields.text("peft_type") else {
            throw fields.malformed("peft_type", expected: "\"LORA\"")
        }
        guard kind == "LORA" else {
            throw AdapterError.unsupported(
                field: "peft_type", folder: folder, found: SafetensorsError.quoted(kind),
                reason:
                    "only LORA is supported. Merge the adapter with PEFT's merge_and_unload(), if its kind can be merged."
            )
        }
        if let task = try fields.text("task_type"), task != "CAUSAL_LM" {
            throw AdapterError.unsupported(
                field: "task_type", folder: folder, found: SafetensorsError.quoted(task),
                reason: "the model would not be a causal language model (CAUSAL_LM).")
        }
        try AdapterFields.refuse(members, folder: folder)
        self.folder = folder
        base = try fields.text("base_model_name_or_path").flatMap { $0.isEmpty ? nil : $0 }
        rank = try fields.value("r", Self.rank(of:), Self.rankExpected) ?? 8
        alpha = try fields.value("lora_alpha", Self.number(of:), Self.alphaExpected) ?? 8
        ranks = try fields.patterns("rank_pattern", Self.rank(of:), Self.rankExpected)
        alphas = try fields.patterns("alpha_pattern", Self.number(of:), Self.alphaExpected)
        isRankStabilized = try fields.flag("use_rslora")
        savedModules = try fields.texts("modules_to_save")
        bias = try fields.text("bias") ?? "none"
        guard ["none", "all", "lora_only"].contains(bias) else {
            throw fields.malformed("bias", expected: "\"none\", \"all\" or \"lora_only\"")
        }
    }

    /// Whether a module was trained whole, in a copy of its own.
    func isSaved(_ module: String) -> Bool { savedModules.contains { module.hasSuffix($0) } }

    /// A module's rank, and the factor of `B A`: alpha / r, or alpha / √r with `use_rslora`.
    ///
    /// - Throws: ``AdapterError/pattern(_:field:folder:problem:)``.
    func scale(of module: String) throws -> (rank: Int, factor: Float) {
        let rank = try value(of: module, in: ranks, field: "rank_pattern") ?? rank
        let alpha = try value(of: module, in: alphas, field: "alpha_pattern") ?? alpha
        return (rank, Float(alpha / (isRankStabilized ? Double(rank).squareRoot() : Double(rank))))
    }

    /// The value of the first pattern that matches, as in PEFT.
    private func value<Value>(
        of module: String, in patterns: [(pattern: NamePattern, text: String, value: Value)], field: String
    ) throws -> Value? {
        for entry in patterns {
            do throws(NamePattern.Problem) {
                if try entry.pattern.matches(module) { return entry.value }
            } catch {
                throw AdapterError.pattern(entry.text, field: field, folder: folder, problem: error.text)
            }
        }
        return nil
    }

    private static let rankExpected =
        "a whole number from \(Limits.ranks.lowerBound) to \(Limits.ranks.upperBound)"
    private static let alphaExpected = "a finite number"

    private static func rank(of value: JSONTree) -> Int? {
        guard case .number(let digits) = value, let rank = Int(digits), Limits.ranks.contains(rank) else { return nil }
        return rank
    }

    private static func number(of value: JSONTree) -> Double? {
        guard case .number(let digits) = value, let number = Double(digits), Float(number).isFinite else { return nil }
        return number
    }

    static func shown(_ value: JSONTree) -> String {
        if case .string(let text) = value { return SafetensorsError.quoted(text) }
        return value.shown
    }

    /// Reads members of an object, and names those of the wrong type.
    private struct Fields {
        let tree: JSONTree
        let folder: String

        func malformed(_ name: String, expected: String, _ value: JSONTree? = nil) -> AdapterError {
            let found = value ?? tree[name]
            return .malformed(
                field: name, folder: folder, expected: expected,
                found: found.map(AdapterConfiguration.shown) ?? "nothing")
        }

        func value<Value>(_ name: String, _ read: (JSONTree) -> Value?, _ expected: String) throws -> Value? {
            guard let found = tree[name], found != .null else { return nil }
            guard let value = read(found) else { throw malformed(name, expected: expected) }
            return value
        }

        func text(_ name: String) throws -> String? {
            try value(name, { if case .string(let text) = $0 { text } else { nil } }, "a string")
        }

        func flag(_ name: String) throws -> Bool {
            try value(name, { if case .boolean(let flag) = $0 { flag } else { nil } }, "true or false") ?? false
        }

        func texts(_ name: String) throws -> [String] {
            let expected = "a list of strings"
            guard let found = tree[name], found != .null else { return [] }
            guard case .array(let elements) = found else { throw malformed(name, expected: expected) }
            return try elements.map { element in
                guard case .string(let text) = element, !text.isEmpty else {
                    throw malformed(name, expected: expected, element)
                }
                return text
            }
        }

        /// An object from patterns to values, in its order.
        func patterns<Value>(
            _ name: String, _ read: (JSONTree) -> Value?, _ expected: String
        ) throws -> [(pattern: NamePattern, text: String, value: Value)] {
            guard let found = tree[name], found != .null else { return [] }
            guard case .object(let members) = found, members.count <= Limits.patterns else {
                throw malformed(name, expected: "an object with at most \(Limits.patterns) patterns")
            }
            return try members.map { member in
                guard let value = read(member.value) else {
                    throw malformed("\(name).\(member.name)", expected: expected, member.value)
                }
                do throws(NamePattern.Problem) {
                    return (try NamePattern(member.name), member.name, value)
                } catch {
                    throw AdapterError.pattern(member.name, field: name, folder: folder, problem: error.text)
                }
            }
        }
    }
}
