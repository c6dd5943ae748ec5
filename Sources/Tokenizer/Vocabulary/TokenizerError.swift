import Foundation

/// Why a tokenizer could not be read or trained. Cases about a file name it, and the field at fault (`model.merges[12]`).
public enum TokenizerError: Error, Equatable {
    case missingFile(String)
    case unreadableFile(String, reason: String)
    /// Not JSON at all, or cut short.
    case malformedJSON(file: String, reason: String)
    case missingField(file: String, field: String)
    case invalidField(file: String, field: String, expected: String, found: String)
    /// A kind of tokenizer, or of a part of one, that is not supported.
    case unsupported(file: String, field: String, found: String, supported: [String])
    case identifierOutOfRange(file: String, field: String, token: String, identifier: Int, limit: Int)
    case duplicateIdentifier(file: String, field: String, identifier: Int, tokens: [String])
    /// An added token whose id does not follow from its position in the file.
    case misplacedAddedToken(file: String, token: String, identifier: Int, expected: Int)
    /// `tokenizer_config.json` and the template in `tokenizer.json` ask for different tokens around a text.
    case contradictoryTemplate(file: String, field: String, value: Bool, tokenizerClass: String?, puts: String)
    case missingByteSymbol(file: String, byte: UInt8, token: String)
    case unknownToken(file: String, field: String, token: String)
    /// A vocabulary too small for its byte symbols and special tokens.
    case vocabularyTooSmall(requested: Int, minimum: Int)
    /// A special token that cannot be distinguished from another token of the vocabulary to be trained.
    case ambiguousSpecialToken(String)
}

extension TokenizerError: CustomStringConvertible, LocalizedError {
    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .missingFile(let file):
            "\(file): there is no such file. A checkpoint folder needs the tokenizer.json of its model beside config.json."
        case .unreadableFile(let file, let reason):
            "\(file): cannot be read: \(reason)"
        case .malformedJSON(let file, let reason):
            "\(file): is not complete JSON: \(reason) If it was cut short, download it again."
        case .missingField(let file, let field):
            "\(file): the field \"\(field)\" is missing. Is this a tokenizer.json of Hugging Face tokenizers?"
        case .invalidField(let file, let field, let expected, let found):
            "\(file): \(field): expected \(expected), found \(found)."
        case .unsupported(let file, let field, let found, let supported):
            "\(file): \(field): \(found) is not supported. Supported: \(supported.joined(separator: "; "))."
        case .identifierOutOfRange(let file, let field, let token, let identifier, let limit):
            "\(file): \(field): token \(quoted(token)) has the id \(identifier); ids run from 0 to \(limit)."
        case .duplicateIdentifier(let file, let field, let identifier, let tokens):
            "\(file): \(field): the id \(identifier) belongs to more than one token: "
                + "\(tokens.map(quoted).joined(separator: ", ")). Each token needs an id of its own."
        case .misplacedAddedToken(let file, let token, let identifier, let expected):
            "\(file): added_tokens: token \(quoted(token)) has the id \(identifier), but the vocabulary and the tokens "
                + "listed before it give it the id \(expected). Added tokens must be listed in order of their ids."
        case .contradictoryTemplate(let file, let field, let value, let tokenizerClass, let puts):
            "tokenizer_config.json: \(field) is \(value)\(tokenizerClass.map { " for the tokenizer_class \($0)" } ?? ""), but "
                + "post_processor in \(file) puts \(puts). Versions of Hugging Face transformers differ in which they follow. "
                + "Change both files to what the model was trained with."
        case .missingByteSymbol(let file, let byte, let token):
            "\(file): the vocabulary has no token for the byte 0x\(String(byte, radix: 16, uppercase: true)) (written "
                + "\(quoted(token))), so some texts cannot be encoded. A tokenizer needs a token for each byte of UTF-8."
        case .unknownToken(let file, let field, let token):
            "\(file): \(field) names the token \(quoted(token)), which the vocabulary does not have."
        case .vocabularyTooSmall(let requested, let minimum):
            "A vocabulary of \(requested) tokens is too small: the byte symbols and special tokens alone are \(minimum)."
        case .ambiguousSpecialToken(let token):
            "The special token \(quoted(token)) is empty, given twice, or written like a byte symbol of the vocabulary. "
                + "Choose one like <|endoftext|>."
        }
    }

    private func quoted(_ token: String) -> String { "\"\(token)\"" }
}
