/// A vocabulary's ids by token. Tokens are told apart by their bytes, as Swift's strings are not: to them `Å` the letter
/// and `Å` the unit are one.
struct TokenLookup: Sendable {
    private var table: ByteStringTable
    private(set) var identifiers: [Int32] = []

    init(minimumCapacity: Int) {
        table = ByteStringTable(minimumCapacity: minimumCapacity)
    }

    /// Distinct tokens.
    var count: Int { identifiers.count }

    subscript(token: String) -> Int32? {
        table.number(of: Array(token.utf8)).map { identifiers[$0] }
    }

    /// Of the ids given for one token the last counts.
    mutating func insert(_ token: String, identifier: Int32) {
        let number = table.insert(Array(token.utf8))
        if number == identifiers.count {
            identifiers.append(identifier)
        } else {
            identifiers[number] = identifier
        }
    }
}
