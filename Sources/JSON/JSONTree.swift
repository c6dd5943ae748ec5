/// A JSON value as it was sent: numbers keep their digits, objects their order.
public enum JSONTree: Sendable, Equatable {
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
    }

    /// The value of an object's member; `nil` if there is none, or for what is no object.
    public subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The value with a member that an object lacks or has as null. What is no object stays as it is.
    public func filling(_ name: String, with value: JSONTree) -> JSONTree {
        guard case .object(var members) = self else { return self }
        switch members.firstIndex(where: { $0.name == name }) {
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
        case .number(let digits): digits
        case .string: "a string"
        case .array: "a list"
        case .object: "an object"
        }
    }
}
