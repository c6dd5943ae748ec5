/// Reads JSON text strictly as in RFC 8259.
///
/// This is the only reader of JSON from outside: request bodies, JSON lines, files of queries, metadata. It refuses a trailing comma, a
/// member that appears twice in one object (names are compared byte by byte), and NaN and Infinity, which Python's `json` writes by
/// default. Errors say where the mistake is. The reader does not recurse: deep nesting costs memory, never the stack.
public struct JSONReader {
    /// The first mistake in a text that is not JSON.
    public struct Mistake: Error, Equatable {
        public var reason: String
        /// From 1.
        public var line: Int
        /// In characters (Unicode scalars), from 1.
        public var column: Int
        /// Whether the only mistake is that the text ends too early.
        public var isAtEnd = false
    }

    /// The deepest allowed nesting of arrays and objects.
    public static let maximumDepth = 512

    private var scanner: JSONScanner
    private var open: [Container] = []

    /// Reads a text that consists of one value, on any number of lines.
    ///
    /// - Throws: ``Mistake``.
    /// - Complexity: Linear in the text's length.
    public static func read(_ bytes: [UInt8]) throws(Mistake) -> JSONTree {
        var reader = JSONReader(bytes: bytes)
        return try reader.document()
    }

    /// Reads a line of JSON lines.
    ///
    /// - Throws: ``Mistake``. If the line ends too early, the reason says that each line must be a whole object.
    public static func readLine(_ bytes: [UInt8]) throws(Mistake) -> JSONTree {
        do {
            return try read(bytes)
        } catch {
            guard error.isAtEnd, !bytes.contains(0x0A) else { throw error }
            var mistake = error
            mistake.reason += " (each line must hold a whole object; \"jq -c .\" puts it on one line)"
            throw mistake
        }
    }

    private init(bytes: [UInt8]) { scanner = JSONScanner(bytes: bytes) }

    /// A list or an object whose end has not been read.
    private struct Container {
        let isObject: Bool
        var elements: [JSONTree] = []
        var members: [JSONTree.Member] = []
        /// The name of the next value in an object.
        var name = ""
        var names = MemberNames()

        var tree: JSONTree { isObject ? .object(members) : .array(elements) }
    }

    private mutating func document() throws(Mistake) -> JSONTree {
        while true {
            scanner.skipSpace()
            // After an opening bracket there is no value yet.
            guard var value = try beginValue() else { continue }
            while !open.isEmpty {
                guard let container = try add(value) else { break }
                value = container
            }
            guard open.isEmpty else { continue }
            scanner.skipSpace()
            guard scanner.isAtEnd else {
                throw scanner.mistake("expected nothing after the value, found \(scanner.found)")
            }
            return value
        }
    }

    /// Reads a scalar or an empty container, or the opening of another container up to its first value.
    ///
    /// - Returns: `nil` after an opening.
    private mutating func beginValue() throws(Mistake) -> JSONTree? {
        switch scanner.next {
        case UInt8(ascii: "{"):
            try begin(Container(isObject: true))
            if scanner.take("}") { return open.removeLast().tree }
            try beginMember()
            return nil
        case UInt8(ascii: "["):
            try begin(Container(isObject: false))
            return scanner.take("]") ? open.removeLast().tree : nil
        case UInt8(ascii: "\""): return .string(try scanner.string())
        case UInt8(ascii: "t") where scanner.take(word: "true"): return .boolean(true)
        case UInt8(ascii: "f") where scanner.take(word: "false"): return .boolean(false)
        case UInt8(ascii: "n") where scanner.take(word: "null"): return .null
        default:
            guard scanner.isAtNumber else { throw noValue }
            return .number(try scanner.number())
        }
    }

    /// The mistake to report where a value is missing.
    private var noValue: Mistake {
        if let word = scanner.notANumber {
            return scanner.mistake("\(word) is not JSON\(path): write null, or leave it out")
        }
        return scanner.mistake("expected a value, found \(scanner.found)", isAtEnd: scanner.isWithinWord)
    }

    private mutating func begin(_ container: Container) throws(Mistake) {
        guard open.count < Self.maximumDepth else {
            throw scanner.mistake("lists and objects are nested deeper than \(Self.maximumDepth)")
        }
        open.append(container)
        scanner.skip()
        scanner.skipSpace()
    }

    /// Reads a member's name and the colon.
    private mutating func beginMember() throws(Mistake) {
        guard scanner.next == UInt8(ascii: "\"") else {
            throw scanner.mistake("expected a member's name in double quotes, found \(scanner.found)")
        }
        let start = scanner.position
        let name = try scanner.string()
        let top = open.count - 1
        guard open[top].names.insert(name, after: open[top].members) else {
            scanner.position = start
            throw scanner.mistake("the member \"\(name.shortened)\" appears twice in one object")
        }
        scanner.skipSpace()
        guard scanner.take(":") else {
            throw scanner.mistake("expected a colon after a member's name, found \(scanner.found)")
        }
        open[top].name = name
    }

    /// Adds a value to the innermost container, and reads on to the next value or past the container's end.
    ///
    /// - Returns: The container, if it has ended.
    private mutating func add(_ value: JSONTree) throws(Mistake) -> JSONTree? {
        let top = open.count - 1
        scanner.skipSpace()
        if open[top].isObject {
            open[top].members.append(JSONTree.Member(name: open[top].name, value: value))
            if scanner.take("}") { return open.removeLast().tree }
            guard scanner.take(",") else {
                throw scanner.mistake("expected a comma or the object's end, found \(scanner.found)")
            }
            scanner.skipSpace()
            try beginMember()
        } else {
            open[top].elements.append(value)
            if scanner.take("]") { return open.removeLast().tree }
            guard scanner.take(",") else {
                throw scanner.mistake("expected a comma or the list's end, found \(scanner.found)")
            }
        }
        return nil
    }

    /// The path to the next value in the document, for an error message.
    private var path: String {
        guard !open.isEmpty else { return "" }
        // In a deep document, the innermost names suffice.
        let path = open.suffix(8).reduce(into: "") { path, container in
            if container.isObject {
                path += (path.isEmpty ? "" : ".") + container.name.shortened
            } else {
                path += "[\(container.elements.count)]"
            }
        }
        return ", in \"\(path)\""
    }
}

/// The names of an object's members so far.
private struct MemberNames {
    /// Empty while there are few members: comparing each one is then faster than hashing.
    private var names: Set<ExactString> = []
    private static let few = 12

    /// - Returns: Whether the name is new.
    mutating func insert(_ name: String, after members: [JSONTree.Member]) -> Bool {
        guard members.count >= Self.few else { return !members.contains { $0.name.hasSameBytes(as: name) } }
        if names.isEmpty { names = Set(members.map { ExactString($0.name) }) }
        return names.insert(ExactString(name)).inserted
    }
}

extension String {
    /// The text, or its beginning if it is too long for an error message.
    fileprivate var shortened: String { utf8.count <= 64 ? self : "\(prefix(40))…" }
}

extension JSONReader.Mistake: CustomStringConvertible {
    public var description: String { "line \(line), column \(column): \(reason)" }
}
