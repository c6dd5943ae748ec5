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
            "\(file): this gradient index cannot be used: \(reason). \(Self.rebuild)"
        case .otherVersion(let file, let found):
            "\(file): the gradient index has format \(found), and this version reads format 1. \(Self.rebuild)"
        case .cutShort(let file, let expected, let found):
            "\(file): the gradient index is cut short: expected \(expected) bytes, found \(found). \(Self.rebuild)"
        case .ofOtherFactors(let file):
            "\(file): the gradient index was made with another model or other factors. \(Self.rebuild)"
        case .ofAnotherCorpus(let file, let sequence):
            "\(file): the gradient index is of another corpus: sequence \(sequence) differs. \(Self.rebuild)"
        case .otherLayout(let file, let found):
            "\(file): the gradient index has \(found.signs) signs per layer, of \(found.leading) leading directions. Leave the "
                + "options out to go on with these, or add --rebuild to make it again from scratch."
        case .cannotWrite(_, let reason):
            "the gradient index cannot be written: \(reason) Sequences that were indexed before are kept."
        case .interrupted(let done, let total):
            "interrupted at \(done) of \(total) sequences; run the same command again to go on from there"
        }
    }

    private static let rebuild = "Make it again with \"tributary index --rebuild\"."
}

/// Whether an engine has a gradient index, and if not, why.
public enum IndexAvailability: Sendable {
    case ready(GradientIndex)
    case missing
    case unusable(GradientIndexError)

    public var index: GradientIndex? {
        if case .ready(let index) = self { index } else { nil }
    }

    /// - Throws: ``QueryError/unusable(field:reason:)`` if there is none.
    func required() throws -> GradientIndex {
        switch self {
        case .ready(let index): return index
        case .missing:
            throw QueryError.unusable(
                field: "candidates.prefilter", reason: GradientIndexError.missing(file: "").description)
        case .unusable(let error): throw QueryError.unusable(field: "candidates.prefilter", reason: error.description)
        }
    }
}
