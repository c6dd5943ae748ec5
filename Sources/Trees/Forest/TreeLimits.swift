import Limits

/// The limits on models and rows from outside.
public enum TreeLimits {
    /// The most bytes of a model's file.
    public static let modelSize = 1 << 29
    /// The leaves of a tree: their numbers take two bytes for every row and tree.
    public static let leaves = 1...65_536
    /// The trees of a model, all classes together.
    public static let trees = 1...100_000
    public static let classes = 2...1_000
    public static let features = 1...16_384
    /// The number of training rows.
    public static let rows = 1...(1 << 27)
    /// The most bytes of the leaf numbers of all rows.
    public static let leafTableSize = 1 << 36
    /// The deepest nesting of UBJSON.
    static let depth = 64
}
