/// Decodes values from a ``JSONTree``.
///
/// Errors are `DecodingError`s whose description tells people what was expected and what was found, with the path of the value at
/// fault. (Foundation's errors have no path if a number does not fit.)
public struct JSONTreeDecoder: Decoder {
    let tree: JSONTree
    public private(set) var codingPath: [any CodingKey]
    public let userInfo: [CodingUserInfoKey: Any] = [:]

    /// - Parameter codingPath: The path to the value in its document, with which the paths of errors begin.
    public init(tree: JSONTree, codingPath: [any CodingKey] = []) {
        self.tree = tree
        self.codingPath = codingPath
    }

    public func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let members) = tree else { throw mismatch("an object") }
        return KeyedDecodingContainer(JSONObjectContainer(decoder: self, members: members))
    }

    public func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let elements) = tree else { throw mismatch("a list") }
        return JSONArrayContainer(decoder: self, elements: elements)
    }

    public func singleValueContainer() -> any SingleValueDecodingContainer { self }

    /// Decodes a value from JSON text.
    ///
    /// - Throws: ``JSONReader/Mistake`` if the text is not JSON, `DecodingError` if its structure is wrong.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: some Sequence<UInt8>) throws -> Value {
        try JSONTreeDecoder(tree: try JSONReader.read(Array(bytes))).decode(type)
    }

    /// The decoder of a value inside of this one.
    func decoder(for tree: JSONTree, at key: any CodingKey) -> JSONTreeDecoder {
        JSONTreeDecoder(tree: tree, codingPath: codingPath + [key])
    }

    func mismatch(_ expected: String) -> DecodingError {
        .dataCorrupted(.init(codingPath: codingPath, debugDescription: "expected \(expected), found \(tree.shown)"))
    }

    /// The values that an enumeration of strings accepts.
    private func choices(of type: any CaseIterable.Type) -> [String] {
        func names<Choice: CaseIterable>(_ type: Choice.Type) -> [String] {
            type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
        }
        return names(type)
    }
}

extension JSONTreeDecoder: SingleValueDecodingContainer {
    public func decodeNil() -> Bool { tree == .null }

    public func decode(_ type: Bool.Type) throws -> Bool {
        guard case .boolean(let value) = tree else { throw mismatch("true or false") }
        return value
    }

    public func decode(_ type: String.Type) throws -> String {
        guard case .string(let value) = tree else { throw mismatch("a string") }
        return value
    }

    public func decode<Integer: Decodable & FixedWidthInteger>(_ type: Integer.Type) throws -> Integer {
        guard case .number(let digits) = tree else { throw mismatch("a whole number") }
        // 1e3 and 20.0 are whole numbers, too.
        guard let value = Integer(digits) ?? plainDigits(of: digits).flatMap({ Integer($0) }) else {
            throw mismatch("a whole number from \(Integer.min) to \(Integer.max)")
        }
        return value
    }

    public func decode<Number: Decodable & BinaryFloatingPoint & LosslessStringConvertible>(
        _ type: Number.Type
    ) throws -> Number {
        guard case .number(let digits) = tree else { throw mismatch("a number") }
        guard let value = Number(digits), value.isFinite else {
            throw mismatch("a number of at most \(Number.greatestFiniteMagnitude)")
        }
        return value
    }

    public func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        guard let enumeration = type as? any CaseIterable.Type, case let names = choices(of: enumeration),
            !names.isEmpty
        else { return try Value(from: self) }
        let expected = "one of \(names.map { "\"\($0)\"" }.joined(separator: ", "))"
        guard case .string(let name) = tree, names.contains(name) else { throw mismatch(expected) }
        return try Value(from: self)
    }
}

/// The members of an object.
private struct JSONObjectContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let decoder: JSONTreeDecoder
    let members: [JSONTree.Member]
    /// The index of each member by its name; nil if there are few members.
    private let indices: [ExactString: Int]?

    /// Up to this many members, a search in order is faster than hashing.
    private static var few: Int { 16 }

    init(decoder: JSONTreeDecoder, members: [JSONTree.Member]) {
        self.decoder = decoder
        self.members = members
        guard members.count > Self.few else {
            indices = nil
            return
        }
        indices = Dictionary(
            members.enumerated().map { (ExactString($1.name), $0) }, uniquingKeysWith: { first, _ in first })
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var allKeys: [Key] { members.compactMap { Key(stringValue: $0.name) } }

    func contains(_ key: Key) -> Bool { index(of: key) != nil }

    private func index(of key: Key) -> Int? {
        let name = key.stringValue
        if let indices { return indices[ExactString(name)] }
        return members.firstIndex { $0.name.hasSameBytes(as: name) }
    }

    private func member(_ key: Key) throws -> JSONTreeDecoder {
        guard let index = index(of: key) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "expected a value, but the field is missing"))
        }
        return decoder.decoder(for: members[index].value, at: key)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key).decodeNil() }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try member(key).decode(type)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try member(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { decoder }
    func superDecoder(forKey key: Key) throws -> any Decoder { try member(key) }
}

/// The elements of an array, one after the other.
private struct JSONArrayContainer: UnkeyedDecodingContainer {
    let decoder: JSONTreeDecoder
    let elements: [JSONTree]
    private(set) var currentIndex = 0

    init(decoder: JSONTreeDecoder, elements: [JSONTree]) {
        self.decoder = decoder
        self.elements = elements
    }

    var codingPath: [any CodingKey] { decoder.codingPath }
    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    private func current() throws -> JSONTreeDecoder {
        let key = IndexKey(currentIndex)
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                JSONTree.self, .init(codingPath: codingPath + [key], debugDescription: "expected another element"))
        }
        return decoder.decoder(for: elements[currentIndex], at: key)
    }

    private mutating func take<Value>(_ decode: (JSONTreeDecoder) throws -> Value) throws -> Value {
        let value = try decode(try current())
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        guard try current().decodeNil() else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try take { try $0.decode(type) } }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> { try take { try $0.container(keyedBy: type) } }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try take { try $0.unkeyedContainer() }
    }

    mutating func superDecoder() throws -> any Decoder { try take { $0 } }
}

/// The index of a list's element.
public struct IndexKey: CodingKey {
    public let intValue: Int?
    public var stringValue: String { intValue.map(String.init) ?? "" }

    public init(_ index: Int) { intValue = index }
    public init?(intValue: Int) { self.init(intValue) }
    public init?(stringValue: String) { nil }
}

/// The plain digits of a whole number in another spelling, such as 1e3 or 20.0; nil for a number that is not whole.
///
/// Works on the digits: a Double would round large numbers.
private func plainDigits(of spelling: String) -> String? {
    let parts = spelling.split(maxSplits: 1) { $0 == "e" || $0 == "E" }
    guard let mantissa = parts.first, let exponent = parts.count > 1 ? Int(parts[1]) : 0,
        (-1_000...1_000).contains(exponent)
    else { return nil }
    let halves = mantissa.split(separator: ".", maxSplits: 1)
    let fraction = halves.count > 1 ? halves[1] : ""
    let digits = (halves.first ?? "") + fraction
    let shift = exponent - fraction.utf8.count
    guard shift < 0 else { return digits + String(repeating: "0", count: shift) }
    guard digits.suffix(-shift).allSatisfy({ $0 == "0" }) else { return nil }
    return String(digits.dropLast(-shift))
}
