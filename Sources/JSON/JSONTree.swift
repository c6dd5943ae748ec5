/// A JSON value as it was sent: numbers keep their digits, objects their order.
///
/// Two trees are equal if they have the same digits, the same bytes in strings, and the same members in the same order.
public enum JSONTree: Sendable {
    case null
    case boolean(Bool)
    case number(String)
    case string(String)
    case array([JSONTree])
    case object([Member])

    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSONTree

        public init(name: String, value: JSONTree) {
            self.name = name
            self.value = value
        }

        public static func == (left: Member, right: Member) -> Bool {
            left.name.hasSameBytes(as: right.name) && left.value == right.value
        }
    }

    /// The value of an object's member; `nil` if there is none, or for what is no object.
    ///
    /// - Complexity: Linear in the number of members. Names are compared byte by byte.
    public subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name.hasSameBytes(as: name) }?.value
    }

    /// The value with a member that an object lacks or has as null. What is no object stays as it is.
    public func filling(_ name: String, with value: JSONTree) -> JSONTree {
        guard case .object(var members) = self else { return self }
        switch members.firstIndex(where: { $0.name.hasSameBytes(as: name) }) {
        case nil: members.append(Member(name: name, value: value))
        case let index? where members[index].value == .null: members[index].value = value
        default: break
        }
        return .object(members)
    }

    /// The value in the words of an error.
    public var shown: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .number(let digits): digits.utf8.count <= 40 ? digits : "\(digits.prefix(40))…"
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }

    /// The value's type, with its article.
    public var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONTree: Equatable {
    public static func == (left: JSONTree, right: JSONTree) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.boolean(let left), .boolean(let right)): left == right
        case (.number(let left), .number(let right)), (.string(let left), .string(let right)):
            left.hasSameBytes(as: right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }
}

extension JSONTree: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .boolean(value) }
    public init(integerLiteral value: Int) { self = .number(String(value)) }
}

extension JSONTree: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral {
    public init(dictionaryLiteral elements: (String, JSONTree)...) {
        self = .object(elements.map { Member(name: $0, value: $1) })
    }

    public init(arrayLiteral elements: JSONTree...) { self = .array(elements) }

    /// An object of the members that have a value.
    public init(members: [(String, JSONTree?)]) {
        self = .object(members.compactMap { name, value in value.map { Member(name: name, value: $0) } })
    }
}
