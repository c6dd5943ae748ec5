import Foundation

/// How gradients are compressed for an index.
public struct SketchLayout: Sendable, Equatable {
    /// The leading eigenvectors of each side of a layer's factors into which its gradient is rotated, at most.
    public var leading: Int
    /// The values that are kept of each layer.
    public var values: Int
    /// Decides which coordinates share a value.
    public var seed: UInt64

    public static let leadingRange = 1...1_024
    public static let valueRange = 1...8_192

    /// - Precondition: Numbers within ``leadingRange`` and ``valueRange``.
    public init(leading: Int = 64, values: Int = 208, seed: UInt64 = 0) {
        precondition(Self.leadingRange ~= leading && Self.valueRange ~= values, "no such sketch")
        self.leading = leading
        self.values = values
        self.seed = seed
    }
}
