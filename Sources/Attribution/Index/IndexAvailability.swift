/// Whether an engine has a gradient index, and why not.
public enum IndexAvailability: Sendable {
    case ready(GradientIndex)
    case missing
    case unusable(GradientIndexError)

    public var index: GradientIndex? {
        if case .ready(let index) = self { index } else { nil }
    }

    /// The index.
    ///
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
