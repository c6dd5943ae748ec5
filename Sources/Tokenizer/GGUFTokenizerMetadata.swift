/// What a GGUF file says of its tokenizer, key by key, nothing checked but its types.
///
/// The keys are those under `tokenizer.ggml.` in the GGUF specification; what a file lacks is nil. Fill it from a file, then
/// make a tokenizer of it with ``Tokenizer/init(_:file:)``, which refuses what it cannot follow.
public struct GGUFTokenizerMetadata: Sendable, Equatable {
    /// `model`: "gpt2" for byte-level BPE, "llama" for SentencePiece with scores.
    public var model: String
    /// `pre`: how text is cut into words, by the name of a family, such as "llama-bpe" or "smollm". Only for "gpt2".
    public var preTokenizer: String?
    /// `tokens`, by id.
    public var tokens: [String]
    /// `scores`, one a token: the higher, the sooner a pair that makes it is joined. Only for "llama".
    public var scores: [Float]?
    /// `token_type`, one a token: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte.
    public var tokenTypes: [Int32]?
    /// `merges`, in order of rank, each two tokens with a space between them. Only for "gpt2".
    public var merges: [String]?
    /// `bos_token_id`
    public var bosToken: Int?
    /// `eos_token_id`
    public var eosToken: Int?
    /// `unknown_token_id`
    public var unknownToken: Int?
    /// `add_bos_token`
    public var addsBos: Bool?
    /// `add_eos_token`
    public var addsEos: Bool?
    /// `add_space_prefix`: whether a space is put before text. Only for "llama", where it is the default.
    public var addsSpacePrefix: Bool?
    /// `remove_extra_whitespaces`
    public var removesExtraWhitespace: Bool?

    public init(model: String, tokens: [String]) {
        self.model = model
        self.tokens = tokens
    }
}

extension Tokenizer {
    /// Makes the tokenizer that a GGUF file's metadata describes.
    ///
    /// Control, unknown and user-defined tokens are found in text before all else. What the format has no key for is taken
    /// from the family that ``GGUFTokenizerMetadata/preTokenizer`` names: Unicode normalization, and whether BOS is put
    /// before a sequence where the file does not say.
    ///
    /// - Parameter file: The file's name, for errors.
    /// - Throws: ``TokenizerError``, naming file and key, where the metadata asks for what is not followed here.
    public convenience init(_ metadata: GGUFTokenizerMetadata, file: String) throws(TokenizerError) {
        self.init(try GGUFTokenizerLoader(metadata, file: file).description())
    }
}
