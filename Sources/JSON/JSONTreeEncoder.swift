/// Encodes values as a ``JSONTree``, so that trees within them keep their digits and the order of their members.
///
/// Members of other objects are in the order of their names' bytes, so that equal values are equal texts.
public enum JSONTreeEncoder {
    /// The tree of a value.
    ///
    /// - Throws: `EncodingError.invalidValue` for a number that is not finite, which JSON does not have; whatever the value throws.
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

/// A place in the tree that is being made.
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
        // A value that has encoded nothing.
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
    func encode(_ value: Double) throws { try encode(floatingPoint: value) }
    func encode(_ value: Float) throws { try encode(floatingPoint: value) }
    func encode(_ value: Int) throws { encode(integer: value) }
    func encode(_ value: Int8) throws { encode(integer: value) }
    func encode(_ value: Int16) throws { encode(integer: value) }
    func encode(_ value: Int32) throws { encode(integer: value) }
    func encode(_ value: Int64) throws { encode(integer: value) }
    func encode(_ value: UInt) throws { encode(integer: value) }
    func encode(_ value: UInt8) throws { encode(integer: value) }
    func encode(_ value: UInt16) throws { encode(integer: value) }
    func encode(_ value: UInt32) throws { encode(integer: value) }
    func encode(_ value: UInt64) throws { encode(integer: value) }

    func encode<Value: Encodable>(_ value: Value) throws {
        content = try JSONTreeEncoder.node(of: value, at: codingPath).content
    }

    private func encode(integer value: some BinaryInteger) { content = .value(.number(String(value))) }

    private func encode(floatingPoint value: some BinaryFloatingPoint & LosslessStringConvertible) throws {
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
