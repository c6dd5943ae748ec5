/// Reads JSON text as RFC 8259 has it, and nothing beside it.
///
/// This is the one reader of JSON that comes from outside: bodies of requests, JSON lines, files of queries, metadata. It refuses a
/// comma before an end, a member that stands twice in one object (names are compared byte by byte), and NaN and Infinity, which
/// Python's `json` writes unless told otherwise; and it says where a mistake is. It does not recurse: the depth of a text costs memory,
/// and never the stack.
public struct JSONReader {
    /// Where the text stops being JSON.
    public struct Mistake: Error, Equatable {
        public var reason: String
        /// From 1.
        public var line: Int
        /// In characters (Unicode scalars), from 1.
        public var column: Int
        /// Whether nothing is wrong with the text but that it ends too early.
        public var isAtEnd = false
    }

    /// How deep arrays and objects may lie in each other.
    public static let maximumDepth = 512

    private var scanner: JSONScanner
    private var open: [Container] = []

    /// Reads a text of one value, on however many lines.
    ///
    /// - Throws: ``Mistake``.
    /// - Complexity: Linear in the text's length.
    public static func read(_ bytes: [UInt8]) throws(Mistake) -> JSONTree {
        var reader = JSONReader(bytes: bytes)
        return try reader.document()
    }

    /// Reads a line of JSON lines.
    ///
    /// - Throws: ``Mistake``, which tells of JSON that goes over several lines where that may be the mistake.
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

    /// A list or an object whose end has not come.
    private struct Container {
        let isObject: Bool
        var elements: [JSONTree] = []
        var members: [JSONTree.Member] = []
        /// The name that the next value has in an object.
        var name = ""
        var names = MemberNames()

        var tree: JSONTree { isObject ? .object(members) : .array(elements) }
    }

    private mutating func document() throws(Mistake) -> JSONTree {
        while true {
            scanner.skipSpace()
            // An object or a list that has just begun has no value yet.
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

    /// Reads a value without parts, or the opening of one with parts, up to where the first part begins.
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

    /// What is wrong where a value should be and none is.
    private var noValue: Mistake {
        if let word = scanner.notANumber {
            return scanner.mistake("\(word) is not JSON\(place): write null, or leave it out")
        }
        return scanner.mistake("expected a value, found \(scanner.found)", isAtEnd: scanner.isWithinWord)
    }

    private mutating func begin(_ container: Container) throws(Mistake) {
        guard open.count < Self.maximumDepth else {
            throw scanner.mistake("lists and objects lie deeper in each other than \(Self.maximumDepth)")
        }
        open.append(container)
        scanner.skip()
        scanner.skipSpace()
    }

    /// Reads a member's name, up to where its value begins.
    private mutating func beginMember() throws(Mistake) {
        guard scanner.next == UInt8(ascii: "\"") else {
            throw scanner.mistake("expected a member's name in double quotes, found \(scanner.found)")
        }
        let start = scanner.position
        let name = try scanner.string()
        let top = open.count - 1
        guard open[top].names.insert(name, after: open[top].members) else {
            scanner.position = start
            throw scanner.mistake("the member \"\(name.shortened)\" stands twice in one object")
        }
        scanner.skipSpace()
        guard scanner.take(":") else {
            throw scanner.mistake("expected a colon after a member's name, found \(scanner.found)")
        }
        open[top].name = name
    }

    /// Puts a value into the innermost container, and reads up to its next part or over its end.
    ///
    /// - Returns: The container, if that was its last part.
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

    /// Where in the document the next value is, in the words of an error.
    private var place: String {
        guard !open.isEmpty else { return "" }
        // The innermost tell enough of a document that is deep.
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
    /// Empty while the members are few: comparing each is then faster than hashing.
    private var names: Set<ExactString> = []
    private static let few = 12

    /// - Returns: Whether no member has the name yet.
    mutating func insert(_ name: String, after members: [JSONTree.Member]) -> Bool {
        guard members.count >= Self.few else { return !members.contains { $0.name.hasSameBytes(as: name) } }
        if names.isEmpty { names = Set(members.map { ExactString($0.name) }) }
        return names.insert(ExactString(name)).inserted
    }
}

extension String {
    /// The text, or its beginning if it is too long for an error.
    fileprivate var shortened: String { utf8.count <= 64 ? self : "\(prefix(40))…" }
}

extension JSONReader.Mistake: CustomStringConvertible {
    public var description: String { "line \(line), column \(column): \(reason)" }
}
