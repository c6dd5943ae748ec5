import Foundation

/// A small, seeded generator whose stream never changes (Steele, Lea and Flood 2014), so that random choices, such as the labels of a
/// fit, can be repeated on any machine.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// A value in [0, 1), from the upper 24 bits.
    public mutating func nextUniform() -> Float {
        Float(next() >> 40) * 0x1p-24
    }

    /// A standard normal value (Box and Muller).
    public mutating func nextNormal() -> Float {
        let radius = (-2 * log(1 - Double(next() >> 11) * 0x1p-53)).squareRoot()
        return Float(radius * cos(2 * .pi * Double(next() >> 11) * 0x1p-53))
    }

    /// A value in [0, 1) that depends only on the seed and the keys.
    public static func uniform(seed: UInt64, keys: UInt64...) -> Float {
        // The seed is mixed before the first key is added: otherwise seed 1 with key 2 would equal seed 2 with key 1.
        var hash = mix(seed &+ 0x9E37_79B9_7F4A_7C15)
        for key in keys { hash = mix(hash &+ 0x9E37_79B9_7F4A_7C15 &+ key) }
        return Float(hash >> 40) * 0x1p-24
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
