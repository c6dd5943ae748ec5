import Foundation

/// Reads the pieces of JSON that a safetensors header consists of, and nothing else of JSON: objects whose values the
/// caller names, strings, and arrays of integers that are not negative (RFC 8259).
struct SafetensorsHeaderScanner {
    let file: String
    private let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// An error at the place that was reached.
    func problem(_ text: String) -> SafetensorsError {
        .malformedHeader(file: file, byte: SafetensorsHeader.lengthBytes + position, problem: text)
    }

    /// Reads an object, calling `member` after each key and colon; `member` reads the value.
    mutating func scanObject(member: (inout Self, String) throws -> Void) throws {
        try expect("{")
        if skip("}") { return }
        repeat {
            let key = try scanString()
            try expect(":")
            try member(&self, key)
        } while skip(",")
        try expect("}")
    }

    /// Reads an array of integers, each from 0 to `Int.max`.
    ///
    /// - Parameter limit: The most of them: one more ends the reading.
    mutating func scanIntegers(atMost limit: Int) throws -> [Int] {
        var integers: [Int] = []
        try expect("[")
        if skip("]") { return integers }
        repeat {
            guard integers.count < limit else { throw problem("expected no more than \(limit) integers") }
            integers.append(try scanInteger())
        } while skip(",")
        try expect("]")
        return integers
    }

    private mutating func scanInteger() throws -> Int {
        skipSpace()
        let start = position
        while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        let digits = bytes[start..<position]
        let isNumberGoingOn = current.map { Array(".eE".utf8).contains($0) } ?? false
        guard !digits.isEmpty, !isNumberGoingOn, digits.count == 1 || digits.first != UInt8(ascii: "0"),
            let value = Int(String(decoding: digits, as: UTF8.self))
        else {
            position = start
            throw problem("expected an integer from 0 to \(Int.max)")
        }
        return value
    }

    /// Reads a string with its escapes.
    mutating func scanString() throws -> String {
        skipSpace()
        guard current == UInt8(ascii: "\"") else { throw problem("expected a string in quotes") }
        let start = position
        position += 1
        var utf8: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw problem("expected no control character in a string") }
            position += 1
            if byte == UInt8(ascii: "\\") {
                utf8.append(contentsOf: String(try scanEscape()).utf8)
            } else {
                utf8.append(byte)
            }
        }
        guard current != nil else {
            position = start
            throw problem("expected a string that ends")
        }
        position += 1
        guard let string = String(validating: utf8, as: UTF8.self) else {
            position = start
            throw problem("expected a string of valid UTF-8")
        }
        return string
    }

    private mutating func scanEscape() throws -> Unicode.Scalar {
        let letter = current
        position += 1
        switch letter {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            let first = try scanHexadecimal()
            guard UTF16.isLeadSurrogate(first) else {
                guard let scalar = Unicode.Scalar(first) else { throw problem("expected no lone surrogate") }
                return scalar
            }
            guard bytes[min(position, bytes.count)...].starts(with: "\\u".utf8) else {
                throw problem("expected the second half of a surrogate pair")
            }
            position += 2
            let second = try scanHexadecimal()
            guard UTF16.isTrailSurrogate(second) else { throw problem("expected the second half of a surrogate pair") }
            return UTF16.decode(UTF16.EncodedScalar([first, second]))
        default:
            position -= 1
            throw problem("expected an escape that JSON knows")
        }
    }

    private mutating func scanHexadecimal() throws -> UInt16 {
        let end = min(position + 4, bytes.count)
        let digits = bytes[position..<end]
        guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw problem("expected four hexadecimal digits") }
        position = end
        return value
    }

    /// Only spaces may follow what was read.
    mutating func expectEnd() throws {
        skipSpace()
        guard current == nil else { throw problem("expected the end of the header") }
    }

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func skipSpace() {
        while let byte = current, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard current == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        guard skip(character) else { throw problem("expected \"\(character)\"") }
    }
}
