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

extension TokenLookup {
    /// Checks that every text that matters has tokens.
    ///
    /// Some vocabularies in use, such as SmolLM2's, lack the symbols of control characters and of planes without
    /// characters; text loses these there, as it does in Hugging Face tokenizers.
    func checkBytes(_ spelling: TokenSpelling, file: String) throws(TokenizerError) {
        for byte in UInt8.min...UInt8.max {
            switch spelling {
            case .byteLevel:
                let token = ByteLevelAlphabet.text(of: [byte])
                guard !Self.isEssential(byte) || self[token] != nil else {
                    throw .missingByteSymbol(file: file, byte: byte, token: token)
                }
            case .characters:
                let token = CharacterSymbols.name(of: byte)
                guard self[token] != nil else { throw .missingByteSymbol(file: file, byte: byte, token: token) }
            }
        }
    }

    /// Whether a byte is part of the UTF-8 (RFC 3629, section 3) of characters other than control characters, in the
    /// planes that have any but for private use and variation selectors.
    private static func isEssential(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09, 0x0A, 0x0D, 0x20...0x7E, 0x80...0xBF, 0xC2...0xF0: true
        default: false
        }
    }
}
