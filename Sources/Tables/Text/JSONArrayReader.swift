/// Splits one JSON array into its elements, without holding the array.
///
/// An element's bytes are found by its brackets and strings alone; whoever reads them as JSON finds the mistakes inside.
public struct JSONArrayReader {
    private let file: String
    private let limit: Int
    private let nextInput: () throws -> [UInt8]?
    private var chunk: [UInt8] = []
    private var position = 0
    private var line = 1
    private var state = State.beforeArray

    private enum State { case beforeArray, beforeFirst, beforeElement, atEnd }

    /// - Parameters:
    ///   - file: The name in errors.
    ///   - limit: The most bytes of an element.
    ///   - nextInput: Returns the next bytes, at least one; nil at the end.
    public init(file: String, limit: Int = TableLimits.rowSize, _ nextInput: @escaping () throws -> [UInt8]?) {
        self.file = file
        self.limit = limit
        self.nextInput = nextInput
    }

    /// The next element's bytes, and the line on which it begins; nil at the array's end.
    ///
    /// - Throws: ``TableError``, or whatever reading the input throws.
    public mutating func next() throws -> (bytes: [UInt8], line: Int)? {
        if state == .beforeArray {
            guard try takeSpace() == UInt8(ascii: "[") else { throw malformed("a JSON array begins with [.") }
            position += 1
            state = .beforeFirst
        }
        guard state != .atEnd else { return nil }
        guard let first = try takeSpace() else { throw truncated }
        if state == .beforeFirst, first == UInt8(ascii: "]") {
            position += 1
            try end()
            return nil
        }
        let start = line
        let element = try element()
        guard !element.isEmpty else {
            throw malformed("an element of the array is expected, not '\(Character(Unicode.Scalar(first)))'.")
        }
        return (element, start)
    }

    /// Reads an element and the comma or the array's end after it.
    private mutating func element() throws -> [UInt8] {
        var element: [UInt8] = []
        var depth = 0
        var isInString = false
        var isEscaped = false
        while try peek() != nil {
            let bytes = chunk
            let start = position
            var index = start
            scan: while index < bytes.count {
                let byte = bytes[index]
                if byte == UInt8(ascii: "\n") { line += 1 }
                if isInString {
                    if isEscaped {
                        isEscaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        isEscaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        isInString = false
                    }
                } else {
                    switch byte {
                    case UInt8(ascii: "\""): isInString = true
                    case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                    case UInt8(ascii: "}"): depth -= 1
                    case UInt8(ascii: "]") where depth > 0: depth -= 1
                    case UInt8(ascii: "]"): break scan
                    case UInt8(ascii: ",") where depth <= 0: break scan
                    default: break
                    }
                }
                index += 1
            }
            element.append(contentsOf: bytes[start..<index])
            position = index
            guard element.count <= limit else {
                throw malformed("an element of the array has more than \(limit) bytes. Split it into several.")
            }
            guard index < bytes.count else { continue }
            position += 1
            if bytes[index] == UInt8(ascii: "]") { try end() } else { state = .beforeElement }
            return element
        }
        throw truncated
    }

    /// Refuses anything after the array but white space.
    private mutating func end() throws {
        state = .atEnd
        if try takeSpace() != nil { throw malformed("other data follows the JSON array.") }
    }

    /// Skips white space, and returns the byte after it.
    private mutating func takeSpace() throws -> UInt8? {
        while let byte = try peek() {
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
            if byte == 0x0a { line += 1 }
            position += 1
        }
        return nil
    }

    private mutating func peek() throws -> UInt8? {
        while position == chunk.count {
            guard let next = try nextInput() else { return nil }
            chunk = next
            position = 0
        }
        return chunk[position]
    }

    private var truncated: TableError { .truncated(file: file, missing: "its JSON array does") }

    private func malformed(_ reason: String) -> TableError { .malformed(file: file, line: line, reason: reason) }
}
