/// How gradients are compressed for an index.
public struct SketchLayout: Sendable, Equatable {
    /// The leading eigenvectors of each side of a layer's factors into which its gradient is rotated, at most.
    public var leading: Int
    /// The signs that are kept of each layer.
    public var signs: Int
    /// Of what is random in the rotation.
    public var seed: UInt64

    public static let leadingRange = 1...256
    public static let signRange = 64...65_536

    /// Whether there is such a layout: numbers within the ranges, and whole words of signs.
    public static func isPossible(leading: Int, signs: Int) -> Bool {
        leadingRange ~= leading && signRange ~= signs && signs.isMultiple(of: 64)
    }

    /// - Precondition: ``isPossible(leading:signs:)``.
    public init(leading: Int = 96, signs: Int = 1_728, seed: UInt64 = 0) {
        precondition(Self.isPossible(leading: leading, signs: signs), "no such sketch")
        self.leading = leading
        self.signs = signs
        self.seed = seed
    }
}
