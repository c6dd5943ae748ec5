import Foundation

/// Why a configuration cannot be used.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible, LocalizedError {
    case unreadable(file: String, reason: String)
    case malformed(file: String, line: Int?, reason: String)
    case unknownKey(key: String, origin: Origin, known: [String])
    case wrongValue(key: String, origin: Origin, expected: String, found: String)

    /// Where a value came from.
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
            "\(Origin.file(file, line: line)): not YAML that can be read: \(reason)"
        case .unknownKey(let key, let origin, let known):
            "\(origin): unknown key \"\(key)\"; known are \(known.joined(separator: ", "))"
        case .wrongValue(let key, let origin, let expected, let found):
            "\(origin): \(key) must be \(expected), but is \(found)"
        }
    }

    public var errorDescription: String? { description }
}
