import JSON

/// A key of whatever name.
struct AnyCodingKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil

    init(stringValue: String) { self.stringValue = stringValue }

    init?(intValue: Int) { nil }
}

extension Swift.Decoder {
    /// Refuses an object that has keys beside the known ones: a misspelt option would otherwise be silently ignored.
    ///
    /// - Throws: `DecodingError.dataCorrupted` whose coding path ends in the unknown key.
    public func refuseUnknownKeys<Key: CodingKey & CaseIterable>(of type: Key.Type) throws {
        let known = Key.allCases.map(\.stringValue)
        let container = try container(keyedBy: AnyCodingKey.self)
        for key in container.allKeys where !known.contains(where: { $0.hasSameBytes(as: key.stringValue) }) {
            throw DecodingError.dataCorrupted(
                DecodingError.Context(
                    codingPath: codingPath + [key],
                    debugDescription: "unknown field; known here are \(known.joined(separator: ", "))"))
        }
    }
}
