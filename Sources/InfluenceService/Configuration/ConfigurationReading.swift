import Foundation
import Yams

extension Configuration {
    /// Reads a YAML file; keys that it does not have keep their defaults.
    ///
    /// - Throws: ``ConfigurationError`` with the file, the line and the key, if the key is unknown or its value has the wrong type.
    public init(file: URL) throws(ConfigurationError) {
        let text: String
        do {
            text = try String(contentsOf: file, encoding: .utf8)
        } catch {
            throw .unreadable(file: file.path, reason: error.localizedDescription)
        }
        try self.init(yaml: text, file: file.path)
    }

    /// - Parameter file: The name of the file in errors.
    public init(yaml: String, file: String) throws(ConfigurationError) {
        self.init()
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw .malformed(file: file, line: Self.line(of: error), reason: Self.reason(of: error))
        }
        guard let root else { return }
        guard case .mapping(let sections) = root else {
            throw .malformed(file: file, line: root.mark?.line, reason: "expected sections such as \"server:\"")
        }
        let known = Set(ConfigurationSetting.all.compactMap { $0.key.split(separator: ".").first.map(String.init) })
        for (name, section) in sections {
            let origin = ConfigurationError.Origin.file(file, line: name.mark?.line)
            let sectionName = name.string ?? ""
            guard known.contains(sectionName) else {
                throw .unknownKey(key: sectionName, origin: origin, known: known.sorted())
            }
            // A section whose keys are all commented out is null.
            if section.isNull { continue }
            guard case .mapping(let entries) = section else {
                throw .wrongValue(key: sectionName, origin: origin, expected: "a section", found: section.shown)
            }
            for (entry, value) in entries {
                let origin = ConfigurationError.Origin.file(file, line: entry.mark?.line)
                try set("\(sectionName).\(entry.string ?? "")", to: value, origin: origin)
            }
        }
    }

    /// Reads values from environment variables such as `TRIBUTARY__SERVER__PORT`: the key in capitals, with two underscores before
    /// each part.
    ///
    /// There are two because keys contain single ones, and because Kubernetes itself sets `TRIBUTARY_SERVER_PORT` if a service has the name
    /// "tributary-server".
    ///
    /// - Throws: ``ConfigurationError`` with the variable's name if there is no such key or the value has the wrong type.
    public mutating func apply(environment: [String: String]) throws(ConfigurationError) {
        for (variable, text) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix("TRIBUTARY__") {
            let key = variable.dropFirst("TRIBUTARY__".count).lowercased().replacingOccurrences(of: "__", with: ".")
            try set(key, to: text, origin: .environment(variable: variable))
        }
    }

    /// Sets one value by its key, as an option of the command line does. Throws if there is no such key or the value has the wrong type.
    public mutating func set(_ key: String, to text: String) throws(ConfigurationError) {
        try set(key, to: text, origin: .caller)
    }

    private mutating func set(
        _ key: String, to text: String?, origin: ConfigurationError.Origin
    ) throws(ConfigurationError) {
        guard let setting = ConfigurationSetting.named(key) else {
            throw .unknownKey(key: key, origin: origin, known: Self.keys(besides: key))
        }
        guard setting.set(&self, text) else {
            let found = text.map { "\"\($0)\"" } ?? "null"
            throw .wrongValue(key: key, origin: origin, expected: setting.expected, found: found)
        }
    }

    private mutating func set(
        _ key: String, to value: Node, origin: ConfigurationError.Origin
    ) throws(ConfigurationError) {
        guard let setting = ConfigurationSetting.named(key), !value.isNull else {
            // An unknown key is refused there.
            return try set(key, to: nil as String?, origin: origin)
        }
        let text: String? =
            switch value {
            // In YAML a quoted number is a string, so "8080" for a port is a mistake.
            case .scalar(let scalar) where setting.isText || [.plain, .any].contains(scalar.style): scalar.string
            case .sequence(let elements) where setting.isList && elements.allSatisfy({ $0.scalar != nil }):
                elements.compactMap(\.scalar?.string).joined(separator: ",")
            default: nil
            }
        guard let text else {
            throw .wrongValue(key: key, origin: origin, expected: setting.expected, found: value.shown)
        }
        try set(key, to: text, origin: origin)
    }

    /// The keys of the same section, or all keys if there is no such section.
    private static func keys(besides key: String) -> [String] {
        let section = key.prefix { $0 != "." } + "."
        let siblings = ConfigurationSetting.all.map(\.key).filter { $0.hasPrefix(section) }
        return siblings.isEmpty ? ConfigurationSetting.all.map(\.key) : siblings
    }

    private static func line(of error: any Error) -> Int? {
        switch error as? YamlError {
        case .scanner(_, _, let mark, _), .parser(_, _, let mark, _), .composer(_, _, let mark, _): mark.line
        case .duplicatedKeysInMapping(_, let context): context.mark.line
        default: nil
        }
    }

    private static func reason(of error: any Error) -> String {
        switch error as? YamlError {
        case .scanner(_, let problem, _, _), .parser(_, let problem, _, _), .composer(_, let problem, _, _): problem
        case .duplicatedKeysInMapping(let keys, _):
            "the key \"\(keys.map { "\($0)" }.joined(separator: "\", \""))\" occurs twice"
        default: "\(error)"
        }
    }
}

extension Node {
    fileprivate var isNull: Bool {
        if case .scalar(let scalar) = self {
            scalar.style != .singleQuoted && scalar.style != .doubleQuoted && null != nil
        } else {
            false
        }
    }

    fileprivate var shown: String {
        switch self {
        case .scalar(let scalar): isNull ? "null" : "\"\(scalar.string)\""
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias(let alias): "the alias \(alias.anchor)"
        }
    }
}

/// Why a configuration cannot be used.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    case unreadable(file: String, reason: String)
    case malformed(file: String, line: Int?, reason: String)
    case unknownKey(key: String, origin: Origin, known: [String])
    case wrongValue(key: String, origin: Origin, expected: String, found: String)

    /// Where a value comes from.
    public enum Origin: Sendable, Equatable, CustomStringConvertible {
        case file(String, line: Int?)
        case environment(variable: String)
        /// An option of the command line, or the program itself.
        case caller

        public var description: String {
            switch self {
            case .file(let file, let line): line.map { "\(file), line \($0)" } ?? file
            case .environment(let variable): "environment variable \(variable)"
            case .caller: "configuration"
            }
        }
    }

    public var description: String {
        switch self {
        case .unreadable(let file, let reason):
            "\(file): cannot be read: \(reason)"
        case .malformed(let file, let line, let reason):
            "\(Origin.file(file, line: line)): cannot be read as YAML: \(reason)"
        case .unknownKey(let key, let origin, let known):
            "\(origin): unknown key \"\(key)\"; the known keys are \(known.joined(separator: ", "))"
        case .wrongValue(let key, let origin, let expected, let found):
            "\(origin): \(key) must be \(expected), but is \(found)"
        }
    }
}
