import Synchronization

/// A 64-byte aligned block of Float32 values that a ``Matrix`` owns or shares.
///
/// `@unchecked Sendable`: the values are written only through ``Matrix``, which first makes sure that it holds the sole
/// reference, and read through references that keep the block alive.
final class AlignedStorage: @unchecked Sendable {
    /// Blocks allocated since the process started: a steady state that allocates nothing leaves it unchanged.
    static let allocations = Atomic<Int>(0)

    /// Bytes of the blocks that are there now.
    static let bytes = Atomic<Int>(0)

    let capacity: Int
    let pointer: UnsafeMutablePointer<Float>

    init(capacity: Int) {
        self.capacity = capacity
        let bytes = UnsafeMutableRawPointer.allocate(
            byteCount: max(capacity, 1) * MemoryLayout<Float>.stride, alignment: 64)
        pointer = bytes.bindMemory(to: Float.self, capacity: max(capacity, 1))
        Self.allocations.add(1, ordering: .relaxed)
        Self.bytes.add(capacity * MemoryLayout<Float>.stride, ordering: .relaxed)
    }

    deinit {
        Self.bytes.subtract(capacity * MemoryLayout<Float>.stride, ordering: .relaxed)
        pointer.deallocate()
    }
}
