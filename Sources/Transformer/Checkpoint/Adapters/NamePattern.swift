/// A regular expression over module names, in the part of Python's syntax that adapters use.
///
/// As in PEFT, a pattern matches the end of a name, and begins at the name's start or after a dot. It is matched by sets of positions
/// rather than by backtracking, so that no pattern takes exponential time.
struct NamePattern: Sendable {
    enum Limits {
        static let length = 1_024
        static let depth = 16
        static let repetitions = 64
        /// The parts of the pattern that are tried against one name.
        static let steps = 10_000
    }

    /// What is wrong with a pattern, to be read after the pattern itself.
    struct Problem: Error, Equatable {
        let text: String
    }

    private indirect enum Node: Sendable {
        case byte(Set<UInt8>)
        case sequence([Node])
        case choice([Node])
        case repetition(Node, least: Int, most: Int?)
        case start, end
    }

    private let root: Node

    /// - Throws: ``Problem``.
    init(_ text: String) throws(Problem) {
        guard text.utf8.count <= Limits.length else {
            throw Problem(text: "has \(text.utf8.count) bytes; expected at most \(Limits.length)")
        }
        var parser = Parser(bytes: Array(text.utf8))
        root = try parser.choice(depth: 0)
        guard parser.isAtEnd else { throw Problem(text: "has a \")\" without its \"(\"") }
    }

    /// - Throws: ``Problem`` if the pattern takes more than ``Limits/steps``.
    func matches(_ name: String) throws(Problem) -> Bool {
        let bytes = Array(name.utf8)
        var starts: Set<Int> = [0]
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: ".") { starts.insert(index + 1) }
        var steps = 0
        return try Self.ends(of: root, from: starts, in: bytes, &steps).contains(bytes.count)
    }

    /// The positions at which a match of the node can end, if it begins at one of some positions.
    private static func ends(
        of node: Node, from starts: Set<Int>, in bytes: [UInt8], _ steps: inout Int
    ) throws(Problem) -> Set<Int> {
        steps += 1
        guard steps <= Limits.steps else { throw Problem(text: "takes too many steps to match") }
        guard !starts.isEmpty else { return [] }
        switch node {
        case .byte(let members):
            return Set(starts.filter { $0 < bytes.count && members.contains(bytes[$0]) }.map { $0 + 1 })
        case .start: return starts.intersection([0])
        case .end: return starts.intersection([bytes.count])
        case .sequence(let nodes):
            var ends = starts
            for node in nodes { ends = try Self.ends(of: node, from: ends, in: bytes, &steps) }
            return ends
        case .choice(let nodes):
            var ends: Set<Int> = []
            for node in nodes { ends.formUnion(try Self.ends(of: node, from: starts, in: bytes, &steps)) }
            return ends
        case .repetition(let node, let least, let most):
            var latest = starts
            for _ in 0..<least { latest = try ends(of: node, from: latest, in: bytes, &steps) }
            var all = latest
            var count = least
            while !latest.isEmpty, count < most ?? .max {
                latest = try ends(of: node, from: latest, in: bytes, &steps).subtracting(all)
                all.formUnion(latest)
                count += 1
            }
            return all
        }
    }
}

extension NamePattern {
    private struct Parser {
        let bytes: [UInt8]
        var position = 0

        var isAtEnd: Bool { position == bytes.count }
        private var next: UInt8? { isAtEnd ? nil : bytes[position] }

        private mutating func skip(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            position += 1
            return true
        }

        mutating func choice(depth: Int) throws(Problem) -> Node {
            guard depth <= Limits.depth else { throw Problem(text: "is nested more than \(Limits.depth) levels deep") }
            var branches = [try sequence(depth: depth)]
            while skip("|") { branches.append(try sequence(depth: depth)) }
            return branches.count == 1 ? branches[0] : .choice(branches)
        }

        private mutating func sequence(depth: Int) throws(Problem) -> Node {
            var nodes: [Node] = []
            while let byte = next, byte != UInt8(ascii: "|"), byte != UInt8(ascii: ")") {
                nodes.append(try repeated(try atom(depth: depth)))
            }
            return .sequence(nodes)
        }

        private mutating func atom(depth: Int) throws(Problem) -> Node {
            guard let byte = next else { throw Problem(text: "ends too early") }
            position += 1
            switch Unicode.Scalar(byte) {
            case "(":
                if skip("?") {
                    guard skip(":") else { throw Problem(text: "has a group \"(?…\" of a kind that is not supported") }
                }
                let inner = try choice(depth: depth + 1)
                guard skip(")") else { throw Problem(text: "has a \"(\" without its \")\"") }
                return inner
            case "[": return .byte(try members())
            case ".": return .byte(Self.all.subtracting([UInt8(ascii: "\n")]))
            case "^": return .start
            case "$": return .end
            case "\\": return .byte(try escaped())
            case "*", "+", "?", "{": throw Problem(text: "repeats nothing")
            default: return .byte([byte])
            }
        }

        private mutating func repeated(_ node: Node) throws(Problem) -> Node {
            var node = node
            var count = 0
            while true {
                let limits: (Int, Int?)
                if skip("*") {
                    limits = (0, nil)
                } else if skip("+") {
                    limits = (1, nil)
                } else if skip("?") {
                    limits = (0, 1)
                } else if skip("{") {
                    limits = try counts()
                } else {
                    return node
                }
                // Only whether a name matches is asked: a lazy repetition is as good as a greedy one.
                if skip("?") {}
                count += 1
                guard count == 1 else { throw Problem(text: "repeats a repetition") }
                node = .repetition(node, least: limits.0, most: limits.1)
            }
        }

        /// The limits of a repetition, after its brace.
        private mutating func counts() throws(Problem) -> (Int, Int?) {
            let least = try number()
            let most: Int? = skip(",") ? try number() : least
            guard skip("}"), least ?? 0 <= most ?? Limits.repetitions, least != nil || most != nil else {
                throw Problem(text: "has a \"{\" that does not begin a number of repetitions")
            }
            return (least ?? 0, most)
        }

        private mutating func number() throws(Problem) -> Int? {
            var value: Int?
            while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                position += 1
                let sum = (value ?? 0) * 10 + Int(byte - UInt8(ascii: "0"))
                guard sum <= Limits.repetitions else {
                    throw Problem(text: "repeats more than \(Limits.repetitions) times")
                }
                value = sum
            }
            return value
        }

        /// The characters of a class, after its bracket.
        private mutating func members() throws(Problem) -> Set<UInt8> {
            let isNegated = skip("^")
            var members: Set<UInt8> = []
            var isFirst = true
            while isFirst || next != UInt8(ascii: "]") {
                isFirst = false
                guard let low = next else { throw Problem(text: "has a \"[\" without its \"]\"") }
                position += 1
                if low == UInt8(ascii: "\\") {
                    members.formUnion(try escaped())
                    continue
                }
                guard next == UInt8(ascii: "-"), position + 1 < bytes.count, bytes[position + 1] != UInt8(ascii: "]")
                else {
                    members.insert(low)
                    continue
                }
                let high = bytes[position + 1]
                position += 2
                guard low <= high, high != UInt8(ascii: "\\") else {
                    throw Problem(text: "has a range of characters that is empty or not supported")
                }
                members.formUnion(low...high)
            }
            position += 1
            return isNegated ? Self.all.subtracting(members) : members
        }

        /// The characters of an escape, after its backslash.
        private mutating func escaped() throws(Problem) -> Set<UInt8> {
            guard let byte = next else { throw Problem(text: "ends in a backslash") }
            position += 1
            switch Unicode.Scalar(byte) {
            case "d": return Self.digits
            case "D": return Self.all.subtracting(Self.digits)
            case "w": return Self.word
            case "W": return Self.all.subtracting(Self.word)
            default:
                guard !Self.word.contains(byte) else {
                    throw Problem(text: "has \"\\\(Unicode.Scalar(byte))\", which is not supported")
                }
                return [byte]
            }
        }

        private static let all = Set(UInt8.min...UInt8.max)
        private static let digits = Set(UInt8(ascii: "0")...UInt8(ascii: "9"))
        private static let word = digits.union(UInt8(ascii: "a")...UInt8(ascii: "z"))
            .union(UInt8(ascii: "A")...UInt8(ascii: "Z")).union([UInt8(ascii: "_")])
    }
}
