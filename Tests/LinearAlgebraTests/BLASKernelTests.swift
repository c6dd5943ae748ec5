import COpenBLASKernels
import Foundation
import Testing

@Suite("BLAS's kernels")
struct BLASKernelTests {
    /// OpenBLAS takes a processor that it does not know for one with SSE3 alone, and is then several times slower.
    @Test("are as wide as the processor's vectors, unless others were asked for")
    func width() throws {
        guard ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] == nil,
            tributary_suitable_blas_kernels() != nil
        else { return }
        let kernels = String(cString: try #require(tributary_blas_kernels()))
        let narrow = ["Prescott", "Core2", "Penryn", "Nehalem"]
        #expect(!narrow.contains(kernels), "OpenBLAS multiplies as for a \(kernels)")
    }
}
