import LinearAlgebra

/// In what precision a sweep multiplies matrices. What ranks first is scored again in Float32 in any case.
public enum SweepPrecision: String, Sendable, CaseIterable {
    case float32 = "fp32"
    /// Values are rounded to bfloat16, sums are Float32.
    case bfloat16 = "bf16"

    /// - Throws: ``SweepPrecisionError/slow`` if this processor has no products of this precision.
    public func checkProcessor() throws {
        if self == .bfloat16, !HalfMatrix.isFast { throw SweepPrecisionError.slow }
    }
}

/// Why sweeps cannot have a precision.
public enum SweepPrecisionError: Error, Equatable, CustomStringConvertible {
    case slow

    public var description: String {
        """
        bf16: expected a processor that multiplies bfloat16 values (AVX-512 BF16 or AMX, as Intel has since 2020 and AMD since \
        2022), found one that does not and would only lose precision: use fp32
        """
    }
}
