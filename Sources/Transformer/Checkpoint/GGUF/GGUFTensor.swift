/// How a GGUF file stores a tensor's values: in blocks, which have their own scales in quantised types.
///
/// Cases are named as in the format, without underscores: `q4K` is Q4_K.
public enum GGUFTensorType: UInt32, Sendable, CaseIterable {
    case float32 = 0
    case float16 = 1
    case q40 = 2
    case q41 = 3
    case q50 = 6
    case q51 = 7
    case q80 = 8
    case q81 = 9
    case q2K = 10
    case q3K = 11
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case q8K = 15
    case iq2XXS = 16
    case iq2XS = 17
    case iq3XXS = 18
    case iq1S = 19
    case iq4NL = 20
    case iq3S = 21
    case iq2S = 22
    case iq4XS = 23
    case int8 = 24
    case int16 = 25
    case int32 = 26
    case int64 = 27
    case float64 = 28
    case iq1M = 29
    case bfloat16 = 30
    case tq10 = 34
    case tq20 = 35
    case mxfp4 = 39

    /// The types whose values can be read.
    public static let supported: [GGUFTensorType] = [
        .float32, .float16, .bfloat16, .q80, .q40, .q41, .q50, .q51, .q2K, .q3K, .q4K, .q5K, .q6K,
    ]

    /// The type's name in the format.
    public var name: String { layout.name }

    /// The type's name, and the values and bytes of a block.
    var layout: (name: String, valueCount: Int, byteCount: Int) {
        switch self {
        case .float32: ("F32", 1, 4)
        case .float16: ("F16", 1, 2)
        case .q40: ("Q4_0", 32, 18)
        case .q41: ("Q4_1", 32, 20)
        case .q50: ("Q5_0", 32, 22)
        case .q51: ("Q5_1", 32, 24)
        case .q80: ("Q8_0", 32, 34)
        case .q81: ("Q8_1", 32, 40)
        case .q2K: ("Q2_K", 256, 84)
        case .q3K: ("Q3_K", 256, 110)
        case .q4K: ("Q4_K", 256, 144)
        case .q5K: ("Q5_K", 256, 176)
        case .q6K: ("Q6_K", 256, 210)
        case .q8K: ("Q8_K", 256, 292)
        case .iq2XXS: ("IQ2_XXS", 256, 66)
        case .iq2XS: ("IQ2_XS", 256, 74)
        case .iq3XXS: ("IQ3_XXS", 256, 98)
        case .iq1S: ("IQ1_S", 256, 50)
        case .iq4NL: ("IQ4_NL", 32, 18)
        case .iq3S: ("IQ3_S", 256, 110)
        case .iq2S: ("IQ2_S", 256, 82)
        case .iq4XS: ("IQ4_XS", 256, 136)
        case .int8: ("I8", 1, 1)
        case .int16: ("I16", 1, 2)
        case .int32: ("I32", 1, 4)
        case .int64: ("I64", 1, 8)
        case .float64: ("F64", 1, 8)
        case .iq1M: ("IQ1_M", 256, 56)
        case .bfloat16: ("BF16", 1, 2)
        case .tq10: ("TQ1_0", 256, 54)
        case .tq20: ("TQ2_0", 256, 66)
        case .mxfp4: ("MXFP4", 32, 17)
        }
    }

    /// The bytes of a tensor whose fastest dimension comes last; nil if a row is not a whole number of blocks or the number overflows.
    func byteCount(shape: [Int]) -> Int? {
        let (_, valueCount, byteCount) = layout
        guard let row = shape.last, row.isMultiple(of: valueCount) else { return nil }
        var bytes = row / valueCount
        for factor in shape.dropLast() + [byteCount] {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
            guard !overflow else { return nil }
            bytes = product
        }
        return bytes
    }
}

/// A tensor's entry in a file's directory.
public struct GGUFTensor: Sendable, Equatable {
    public let name: String
    public let type: GGUFTensorType
    /// The dimensions, the slowest first, which is the reverse of the order in the file.
    public let shape: [Int]
    /// The bytes of the values in the file.
    public let byteRange: Range<Int>
}
