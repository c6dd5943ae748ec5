extension JSONTree: Codable {
    /// The value that a decoder holds.
    ///
    /// A ``JSONTreeDecoder`` hands it over as it is. Other decoders know numbers as machines have them: what is no 64-bit integer
    /// becomes a Double.
    public init(from decoder: any Decoder) throws {
        if let decoder = decoder as? JSONTreeDecoder {
            self = decoder.tree
        } else if let container = try? decoder.container(keyedBy: MemberKey.self) {
            // Whether a value is an object or a list is asked before what is in it: each value is visited once.
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

    /// Writes the value to an encoder. A ``JSONTreeEncoder`` takes it as it is; others get numbers as machines have them.
    ///
    /// - Throws: `EncodingError` for a number that another encoder cannot have.
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
                    self, .init(codingPath: encoder.codingPath, debugDescription: "\(shown) is no finite Double"))
            }
            try value.encode(to: encoder)
        }
    }

    /// A member's name, whatever it is.
    private struct MemberKey: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
