import Files

/// Reads UBJSON (Universal Binary JSON, draft 12) as XGBoost writes it: lengths and numbers are big-endian.
struct UBJSONReader {
    private let bytes: [UInt8]
    private let file: String
    private var position = 0

    /// - Throws: ``TreesError/malformed(file:line:field:expected:found:)``.
    static func read(_ bytes: [UInt8], file: String) throws(TreesError) -> ModelValue {
        var reader = UBJSONReader(bytes: bytes, file: file)
        let marker = try reader.take("a value")
        let value = try reader.value(marker, depth: 0)
        guard reader.position == bytes.count else { throw reader.mistake("the end of the file", "more bytes") }
        return value
    }

    private init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    private func mistake(_ expected: String, _ found: String) -> TreesError {
        .malformed(file: file, line: nil, field: "byte \(position)", expected: expected, found: found)
    }

    private mutating func take(_ what: String) throws(TreesError) -> UInt8 {
        guard position < bytes.count else { throw mistake(what, "the end of the file") }
        defer { position += 1 }
        return bytes[position]
    }

    private mutating func skipPadding() {
        while position < bytes.count, bytes[position] == UInt8(ascii: "N") { position += 1 }
    }

    /// The bits of a big-endian number.
    private mutating func bits(_ count: Int) throws(TreesError) -> UInt64 {
        guard count <= bytes.count - position else {
            throw mistake("\(count) bytes of a number", "the end of the file")
        }
        var bits: UInt64 = 0
        for _ in 0..<count {
            bits = bits << 8 | UInt64(bytes[position])
            position += 1
        }
        return bits
    }

    /// The size of a number's bytes; nil for a marker of something else.
    private static func size(_ marker: UInt8) -> Int? {
        switch marker {
        case UInt8(ascii: "i"), UInt8(ascii: "U"): 1
        case UInt8(ascii: "I"): 2
        case UInt8(ascii: "l"), UInt8(ascii: "d"): 4
        case UInt8(ascii: "L"), UInt8(ascii: "D"): 8
        default: nil
        }
    }

    private mutating func number(_ marker: UInt8) throws(TreesError) -> Double {
        guard let size = Self.size(marker) else { throw mistake("a number", "the marker \(marker)") }
        let bits = try bits(size)
        return switch marker {
        case UInt8(ascii: "i"): Double(Int8(truncatingIfNeeded: bits))
        case UInt8(ascii: "U"): Double(bits)
        case UInt8(ascii: "I"): Double(Int16(truncatingIfNeeded: bits))
        case UInt8(ascii: "l"): Double(Int32(truncatingIfNeeded: bits))
        case UInt8(ascii: "d"): Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits)))
        case UInt8(ascii: "L"): Double(Int64(bitPattern: bits))
        default: Double(bitPattern: bits)
        }
    }

    /// A length, of no more elements than there are bytes left.
    private mutating func length(elementSize: Int) throws(TreesError) -> Int {
        let marker = try take("a length")
        guard marker != UInt8(ascii: "d"), marker != UInt8(ascii: "D") else {
            throw mistake("a whole number for a length", "a fraction")
        }
        let value = try number(marker)
        guard value >= 0, value <= Double((bytes.count - position) / max(elementSize, 1)) else {
            throw mistake("a length within the file", "\(value)")
        }
        return Int(value)
    }

    private mutating func string() throws(TreesError) -> String {
        let count = try length(elementSize: 1)
        guard let text = String(validating: bytes[position..<position + count], as: UTF8.self) else {
            throw mistake("UTF-8", "other bytes")
        }
        position += count
        return text
    }

    private mutating func value(_ marker: UInt8, depth: Int) throws(TreesError) -> ModelValue {
        switch marker {
        case UInt8(ascii: "Z"): return .null
        case UInt8(ascii: "T"): return .boolean(true)
        case UInt8(ascii: "F"): return .boolean(false)
        case UInt8(ascii: "S"): return .string(try string())
        case UInt8(ascii: "["), UInt8(ascii: "{"):
            guard depth < TreeLimits.depth else {
                throw mistake("lists and objects nested at most \(TreeLimits.depth) deep", "more")
            }
            return marker == UInt8(ascii: "[") ? try array(depth) : try object(depth)
        default:
            guard Self.size(marker) != nil else { throw mistake("the marker of a value", "the byte \(marker)") }
            return .number(try number(marker))
        }
    }

    /// The type and the number of a container's elements, where it begins with them.
    private mutating func header() throws(TreesError) -> (type: UInt8?, count: Int?) {
        skipPadding()
        var type: UInt8?
        if position < bytes.count, bytes[position] == UInt8(ascii: "$") {
            position += 1
            type = try take("a type")
            guard position < bytes.count, bytes[position] == UInt8(ascii: "#") else {
                throw mistake("a number of elements after their type", "something else")
            }
        }
        guard position < bytes.count, bytes[position] == UInt8(ascii: "#") else { return (nil, nil) }
        position += 1
        return (type, try length(elementSize: type.flatMap { Self.size($0) } ?? 1))
    }

    private mutating func array(_ depth: Int) throws(TreesError) -> ModelValue {
        let (type, count) = try header()
        if let type, let count {
            guard Self.size(type) != nil else { throw mistake("a list of numbers", "a list of the type \(type)") }
            var numbers: [Double] = []
            numbers.reserveCapacity(count)
            for _ in 0..<count { numbers.append(try number(type)) }
            return .numbers(numbers)
        }
        var elements: [ModelValue] = []
        while true {
            if let count, elements.count == count { break }
            skipPadding()
            let marker = try take("an element or the list's end")
            if count == nil, marker == UInt8(ascii: "]") { break }
            elements.append(try value(marker, depth: depth + 1))
        }
        let numbers = elements.compactMap { if case .number(let value) = $0 { value } else { nil } }
        return numbers.count == elements.count ? .numbers(numbers) : .array(elements)
    }

    private mutating func object(_ depth: Int) throws(TreesError) -> ModelValue {
        let (type, count) = try header()
        guard type == nil else { throw mistake("an object of values with markers", "one with a type") }
        var members: [String: ModelValue] = [:]
        var read = 0
        while true {
            if let count, read == count { break }
            skipPadding()
            guard position < bytes.count else { throw mistake("a member or the object's end", "the end of the file") }
            if count == nil, bytes[position] == UInt8(ascii: "}") {
                position += 1
                break
            }
            let name = try string()
            let marker = try take("a member's value")
            guard members.updateValue(try value(marker, depth: depth + 1), forKey: name) == nil else {
                throw mistake("each member once", "\"\(name.prefix(40))\" twice")
            }
            read += 1
        }
        return .object(members)
    }
}
