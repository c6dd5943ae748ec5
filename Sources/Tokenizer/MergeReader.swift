/// Finds the tokens of merges that are written as text.
struct MergeReader {
    let file: String
    let spelling: TokenSpelling
    let lookup: TokenLookup

    /// A merge written as its two tokens with a space between them.
    func merge(line: String, field: String) throws(TokenizerError) -> Merge {
        // A space with a mark behind it is another character, but a space all the same.
        let parts = line.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
        return try merge(parts.map { String($0) }, field: field)
    }

    func merge(_ pair: [String], field: String) throws(TokenizerError) -> Merge {
        guard pair.count == 2 else {
            throw .invalidField(
                file: file, field: field, expected: "two tokens", found: "\"\(pair.joined(separator: " "))\"")
        }
        for token in pair where spelling.bytesInText(of: token) == nil {
            throw .unsupported(
                file: file, field: field, found: "\"\(token)\", which is not written in the byte-level alphabet,",
                supported: ["BPE at byte level"])
        }
        return Merge(
            left: try identifier(pair[0], field: field), right: try identifier(pair[1], field: field),
            merged: try identifier(pair[0] + pair[1], field: field))
    }

    private func identifier(_ token: String, field: String) throws(TokenizerError) -> Int32 {
        guard let identifier = lookup[token] else { throw .unknownToken(file: file, field: field, token: token) }
        return identifier
    }
}
