import Foundation

/// How a safetensors file stores a tensor's values, all little-endian.
public enum SafetensorsType: String, Sendable, CaseIterable {
    case float64 = "F64"
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case float8e5m2 = "F8_E5M2"
    case float8e4m3 = "F8_E4M3"
    case float8e8m0 = "F8_E8M0"
    case float6e2m3 = "F6_E2M3"
    case float6e3m2 = "F6_E3M2"
    case float4 = "F4"
    case complex64 = "C64"
    case int64 = "I64"
    case int32 = "I32"
    case int16 = "I16"
    case int8 = "I8"
    case uint64 = "U64"
    case uint32 = "U32"
    case uint16 = "U16"
    case uint8 = "U8"
    case boolean = "BOOL"

    public var bitsPerValue: Int {
        switch self {
        case .float64, .complex64, .int64, .uint64: 64
        case .float32, .int32, .uint32: 32
        case .float16, .bfloat16, .int16, .uint16: 16
        case .float8e5m2, .float8e4m3, .float8e8m0, .int8, .uint8, .boolean: 8
        case .float6e2m3, .float6e3m2: 6
        case .float4: 4
        }
    }
}

/// What a file's header says of one tensor.
public struct SafetensorsTensor: Sendable, Equatable {
    public let name: String
    public let dtype: SafetensorsType
    public let shape: [Int]
    /// Where the values lie, counted from the end of the header.
    public let byteRange: Range<Int>

    /// The number of values: 1 for a scalar, whose shape is empty.
    public var count: Int { byteRange.count * 8 / dtype.bitsPerValue }

    /// Bytes that a tensor takes, or `nil` if that is no whole number or more than an integer can hold.
    static func byteCount(of dtype: SafetensorsType, shape: [Int]) -> Int? {
        var bits = dtype.bitsPerValue
        for dimension in shape {
            let (product, overflow) = bits.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else { return nil }
            bits = product
        }
        return bits.isMultiple(of: 8) ? bits / 8 : nil
    }
}
