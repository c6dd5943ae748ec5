/// Encodes values as a ``JSONTree``. Trees inside them keep their digits and the order of their members.
///
/// Members of other objects are sorted by the bytes of their names, so that equal values give equal texts.
public enum JSONTreeEncoder {
    /// The tree of a value.
    ///
    /// - Throws: `EncodingError.invalidValue` for a number that is not finite, as JSON cannot express it, or whatever the value throws.
    public static func tree(of value: some Encodable) throws -> JSONTree {
        try node(of: value, at: []).tree
    }

    fileprivate static func node(of value: some Encodable, at path: [any CodingKey]) throws -> Node {
        let node = Node(codingPath: path)
        if let tree = value as? JSONTree {
            node.content = .value(tree)
        } else {
            try value.encode(to: node)
        }
        return node
    }
}

/// A node of the tree that is being built.
private final class Node: Encoder {
    enum Content {
        case nothing
        case value(JSONTree)
        case list([Node])
        case object([ExactString: Node])
    }

    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]
    var content = Content.nothing

    init(codingPath: [any CodingKey]) { self.codingPath = codingPath }

    var tree: JSONTree {
        switch content {
        // The value has encoded nothing.
        case .nothing: .object([])
        case .value(let tree): tree
        case .list(let nodes): .array(nodes.map(\.tree))
        case .object(let nodes):
            .object(nodes.sorted { $0.key < $1.key }.map { .init(name: $0.key.text, value: $0.value.tree) })
        }
    }

    func add(_ node: Node, named name: String) {
        guard case .object(var nodes) = content else { return }
        content = .nothing
        nodes[ExactString(name)] = node
        content = .object(nodes)
    }

    func append(_ node: Node) {
        guard case .list(var nodes) = content else { return }
        content = .nothing
        nodes.append(node)
        content = .list(nodes)
    }

    func child(at key: any CodingKey) -> Node { Node(codingPath: codingPath + [key]) }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if case .object = content {} else { content = .object([:]) }
        return KeyedEncodingContainer(ObjectContainer(node: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if case .list = content {} else { content = .list([]) }
        return ListContainer(node: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }
}

extension Node: SingleValueEncodingContainer {
    func encodeNil() throws { content = .value(.null) }
    func encode(_ value: Bool) throws { content = .value(.boolean(value)) }
    func encode(_ value: String) throws { content = .value(.string(value)) }

    func encode<Value: Encodable>(_ value: Value) throws {
        content = try JSONTreeEncoder.node(of: value, at: codingPath).content
    }

    func encode<Integer: Encodable & FixedWidthInteger>(_ value: Integer) throws {
        content = .value(.number(String(value)))
    }

    func encode<Number: Encodable & BinaryFloatingPoint & LosslessStringConvertible>(_ value: Number) throws {
        guard value.isFinite else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: codingPath, debugDescription: "\(value) cannot be written as JSON"))
        }
        let digits = String(value)
        content = .value(.number(digits.hasSuffix(".0") ? String(digits.dropLast(2)) : digits))
    }
}

private struct ObjectContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: Node

    var codingPath: [any CodingKey] { node.codingPath }

    mutating func encodeNil(forKey key: Key) throws {
        let child = node.child(at: key)
        try child.encodeNil()
        node.add(child, named: key.stringValue)
    }

    mutating func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        node.add(try JSONTreeEncoder.node(of: value, at: codingPath + [key]), named: key.stringValue)
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { nested(at: key).container(keyedBy: type) }

    mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        nested(at: key).unkeyedContainer()
    }

    mutating func superEncoder() -> any Encoder { node }
    mutating func superEncoder(forKey key: Key) -> any Encoder { nested(at: key) }

    private func nested(at key: Key) -> Node {
        let child = node.child(at: key)
        node.add(child, named: key.stringValue)
        return child
    }
}

private struct ListContainer: UnkeyedEncodingContainer {
    let node: Node

    var codingPath: [any CodingKey] { node.codingPath }

    var count: Int { if case .list(let nodes) = node.content { nodes.count } else { 0 } }

    mutating func encodeNil() throws { try nested().encodeNil() }

    mutating func encode<Value: Encodable>(_ value: Value) throws {
        node.append(try JSONTreeEncoder.node(of: value, at: codingPath + [IndexKey(count)]))
    }

    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        nested().container(keyedBy: type)
    }

    mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested().unkeyedContainer() }
    mutating func superEncoder() -> any Encoder { nested() }

    private func nested() -> Node {
        let child = node.child(at: IndexKey(count))
        node.append(child)
        return child
    }
}

extension JSONTree: Codable {
    /// Reads the decoder's value.
    ///
    /// A ``JSONTreeDecoder`` returns its tree unchanged. Other decoders know only machine numbers: a number that is not a 64-bit integer
    /// becomes a Double.
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? JSONTreeDecoder {
            self = decoder.tree
        } else if let container = try? decoder.container(keyedBy: MemberKey.self) {
            // Object and list come first, so that each value is visited once.
            self = .object(
                try container.allKeys.map { key in
                    Member(name: key.stringValue, value: try container.decode(JSONTree.self, forKey: key))
                })
        } else if var container = try? decoder.unkeyedContainer() {
            var elements: [JSONTree] = []
            while !container.isAtEnd { elements.append(try container.decode(JSONTree.self)) }
            self = .array(elements)
        } else {
            self = try Self.scalar(in: try decoder.singleValueContainer())
        }
    }

    private static func scalar(in container: any SingleValueDecodingContainer) throws -> JSONTree {
        if let value = try? container.decode(String.self) { return .string(value) }
        if container.decodeNil() { return .null }
        if let value = try? container.decode(Bool.self) { return .boolean(value) }
        if let value = try? container.decode(Int64.self) { return .number(String(value)) }
        if let value = try? container.decode(UInt64.self) { return .number(String(value)) }
        return .number(String(try container.decode(Double.self)))
    }

    /// Writes the value to an encoder. A ``JSONTreeEncoder`` keeps it unchanged; others receive machine numbers.
    ///
    /// - Throws: `EncodingError` for a number that another encoder cannot represent.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .boolean(let value): try value.encode(to: encoder)
        case .string(let value): try value.encode(to: encoder)
        case .array(let elements): try elements.encode(to: encoder)
        case .object(let members):
            var container = encoder.container(keyedBy: MemberKey.self)
            for member in members { try container.encode(member.value, forKey: MemberKey(stringValue: member.name)) }
        case .number(let digits):
            if let value = Int64(digits) { return try value.encode(to: encoder) }
            if let value = UInt64(digits) { return try value.encode(to: encoder) }
            guard let value = Double(digits), value.isFinite else {
                throw EncodingError.invalidValue(
                    self, .init(codingPath: encoder.codingPath, debugDescription: "\(shown) is not a finite Double"))
            }
            try value.encode(to: encoder)
        }
    }

    /// Any member's name.
    private struct MemberKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
