import LinearAlgebra

/// In what precision a sweep multiplies matrices. What ranks first is scored again in Float32 in any case.
public enum SweepPrecision: String, Sendable, CaseIterable {
    case float32 = "fp32"
    /// Values are rounded to bfloat16, sums are Float32.
    case bfloat16 = "bf16"

    /// - Throws: ``SweepPrecisionError`` if products of this precision are not to be had here.
    public func checkProcessor() throws {
        guard self == .bfloat16 else { return }
        if !HalfMatrix.isSupported { throw SweepPrecisionError.slow }
        if !HalfMatrix.canMultiply() { throw SweepPrecisionError.forbidden }
    }
}

/// Why sweeps cannot have a precision.
public enum SweepPrecisionError: Error, Equatable, CustomStringConvertible {
    /// The processor has no such products.
    case slow
    /// The system does not let the process make them.
    case forbidden

    public var description: String {
        switch self {
        case .slow:
            """
            bf16: expected a processor that multiplies bfloat16 values (AVX-512 BF16 or AMX), found one that does not, on which \
            precision would be lost and no time won: use fp32
            """
        case .forbidden:
            """
            bf16: expected to be allowed to write code at run time, which its products take, but the system refuses \
            (MemoryDenyWriteExecute=yes of systemd does): allow it, or use fp32
            """
        }
    }
}
