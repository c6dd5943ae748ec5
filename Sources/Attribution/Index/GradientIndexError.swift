/// Why a gradient index cannot be used or made.
public enum GradientIndexError: Error, Equatable, CustomStringConvertible {
    case missing(file: String)
    case unreadable(file: String, reason: String)
    case damaged(file: String, reason: String)
    case otherVersion(file: String, found: Int)
    case cutShort(file: String, expected: Int, found: Int)
    case ofOtherFactors(file: String)
    case ofAnotherCorpus(file: String, sequence: Int64)
    case otherLayout(file: String, found: SketchLayout)
    case cannotWrite(file: String, reason: String)
    case interrupted(done: Int, total: Int)

    public var description: String {
        switch self {
        case .missing: "there is no gradient index yet: make it with \"tributary index\""
        case .unreadable(let file, let reason): "\(file): the gradient index cannot be read: \(reason)"
        case .damaged(let file, let reason):
            "\(file): this is no gradient index that can be used: \(reason). Make it anew with \"tributary index --rebuild\"."
        case .otherVersion(let file, let found):
            "\(file): the gradient index has format \(found), and this version reads 1. Make it anew with "
                + "\"tributary index --rebuild\"."
        case .cutShort(let file, let expected, let found):
            "\(file): the gradient index is cut short: expected \(expected) bytes, found \(found). Make it anew with "
                + "\"tributary index --rebuild\"."
        case .ofOtherFactors(let file):
            "\(file): the gradient index was made with another model or other factors. Make it anew with "
                + "\"tributary index --rebuild\"."
        case .ofAnotherCorpus(let file, let sequence):
            "\(file): the gradient index is of another corpus: sequence \(sequence) differs. Make it anew with "
                + "\"tributary index --rebuild\"."
        case .otherLayout(let file, let found):
            "\(file): the gradient index has \(found.signs) signs a layer, of \(found.leading) leading directions. Leave the "
                + "options out to go on with these, or add --rebuild to make it anew."
        case .cannotWrite(_, let reason):
            "the gradient index cannot be written: \(reason) What was indexed before is kept."
        case .interrupted(let done, let total):
            "interrupted at \(done) of \(total) sequences; run the same command again to go on from there"
        }
    }
}
