// Decoding goes by limits.
extension KeyedDecodingContainer {
    /// A value that there must be.
    ///
    /// - Throws: `DecodingError` at the key's path, whose description says what is expected and what was found.
    public func decode<L: Limit>(_ key: Key, within limit: L) throws -> L.Value where L.Value: Decodable {
        let value = try decode(L.Value.self, forKey: key)
        try check(value, of: key, within: limit)
        return value
    }

    /// A value that may be absent or null.
    ///
    /// - Throws: `DecodingError` at the key's path, whose description says what is expected and what was found.
    public func decodeIfPresent<L: Limit>(_ key: Key, within limit: L) throws -> L.Value? where L.Value: Decodable {
        guard let value = try decodeIfPresent(L.Value.self, forKey: key) else { return nil }
        try check(value, of: key, within: limit)
        return value
    }

    /// A list, of which each element has a limit as well as their number.
    ///
    /// - Throws: `DecodingError` at the path of the list or of its first element that is refused.
    public func decodeIfPresent<L: Limit>(
        _ key: Key, within limit: ListLimit<L.Value>, each: L
    ) throws -> [L.Value]? where L.Value: Decodable {
        guard let values = try decodeIfPresent(key, within: limit) else { return nil }
        for (index, value) in values.enumerated() {
            guard let refusal = each.refusal(of: value) else { continue }
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath + [key, ElementKey(index)], debugDescription: refusal))
        }
        return values
    }

    private func check<L: Limit>(_ value: L.Value, of key: Key, within limit: L) throws {
        guard let refusal = limit.refusal(of: value) else { return }
        throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: refusal)
    }
}

/// The index of a list's element.
private struct ElementKey: CodingKey {
    let intValue: Int?
    var stringValue: String { intValue.map(String.init) ?? "" }

    init(_ index: Int) { intValue = index }
    init?(intValue: Int) { self.init(intValue) }
    init?(stringValue: String) { nil }
}
