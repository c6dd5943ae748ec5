/// What is done to text before it is cut into words.
enum Normalizer: String, Sendable {
    /// Nothing.
    case none
    /// Unicode's normalization form C.
    case nfc

    /// The normalized text; nil where a quick look shows that `text`, valid UTF-8, is so already.
    func normalized(_ text: Span<UInt8>) -> [UInt8]? {
        switch self {
        case .none: nil
        case .nfc: CanonicalComposition.shared.composed(text)
        }
    }
}
