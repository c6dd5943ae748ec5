import Foundation

/// A path in which `{name}` stands for any one segment that is not empty.
struct PathPattern: Sendable, Equatable {
    enum Segment: Sendable, Equatable {
        case literal(String)
        case parameter(String)
    }

    let segments: [Segment]

    /// - Throws: ``RouterError/malformedPattern(_:reason:)``.
    init(_ pattern: String) throws(RouterError) {
        guard pattern.hasPrefix("/") else {
            throw .malformedPattern(pattern, reason: "it does not start with a slash")
        }
        var names: Set<String> = []
        var segments: [Segment] = []
        for part in pattern.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            guard part.contains(where: { $0 == "{" || $0 == "}" }) else {
                segments.append(.literal(String(part)))
                continue
            }
            let name = part.dropFirst().dropLast()
            guard part.first == "{", part.last == "}", !name.isEmpty, !name.contains(where: { $0 == "{" || $0 == "}" })
            else {
                throw .malformedPattern(pattern, reason: "\"\(part)\" is neither a literal nor one {name}")
            }
            guard names.insert(String(name)).inserted else {
                throw .malformedPattern(pattern, reason: "{\(name)} stands in it twice")
            }
            segments.append(.parameter(String(name)))
        }
        self.segments = segments
    }
}

/// Routes that cannot be told apart or make no sense; found when the router is made.
public enum RouterError: Error, Sendable, Equatable {
    case malformedPattern(String, reason: String)
    case duplicateRoute(method: String, pattern: String, other: String)
}

extension RouterError: LocalizedError, CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformedPattern(let pattern, let reason):
            "The route pattern \"\(pattern)\" is malformed: \(reason). Write it like /v1/jobs/{id}."
        case .duplicateRoute(let method, let pattern, let other):
            "\(method) \(pattern) would never be reached, as \(other) takes its requests: remove one of the two."
        }
    }

    public var errorDescription: String? { description }
}
