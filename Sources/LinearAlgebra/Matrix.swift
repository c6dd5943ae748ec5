import Synchronization

/// A row-major Float32 matrix with value semantics.
///
/// Copies share their values until one of them is written. A consumer can therefore keep a matrix that it receives, and a matrix that
/// nobody kept is overwritten in place. ``resize(rows:columns:)`` reuses its memory block whenever that is large enough: a workspace of
/// matrices stops allocating after its largest micro-batch.
public struct Matrix: Sendable {
    public private(set) var rows: Int
    public private(set) var columns: Int
    private var storage: AlignedStorage

    /// A matrix of zeros.
    public init(rows: Int, columns: Int) {
        self.init(unspecifiedRows: rows, columns: columns)
        storage.pointer.initialize(repeating: 0, count: rows * columns)
    }

    /// A matrix without values.
    public init() {
        self.init(unspecifiedRows: 0, columns: 0)
    }

    /// A matrix of the given values, row after row.
    ///
    /// - Precondition: `elements` holds `rows * columns` values.
    public init(rows: Int, columns: Int, elements: [Float]) {
        precondition(elements.count == rows * columns, "a \(rows) x \(columns) matrix of \(elements.count) values")
        self.init(unspecifiedRows: rows, columns: columns)
        elements.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { storage.pointer.initialize(from: base, count: elements.count) }
        }
    }

    init(unspecifiedRows rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix of \(rows) x \(columns)")
        self.rows = rows
        self.columns = columns
        storage = AlignedStorage(capacity: rows * columns)
    }

    /// The number of values.
    public var count: Int { rows * columns }

    public subscript(row: Int, column: Int) -> Float {
        get {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "index outside the matrix")
            return storage.pointer[row * columns + column]
        }
        set {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "index outside the matrix")
            makeUnique()
            storage.pointer[row * columns + column] = newValue
        }
    }

    /// The values, row after row.
    public var elements: [Float] {
        Array(UnsafeBufferPointer(start: storage.pointer, count: count))
    }

    /// Changes the shape. The values are unspecified afterwards.
    ///
    /// - Complexity: Allocates only if the matrix's memory is shared or too small.
    public mutating func resize(rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix of \(rows) x \(columns)")
        if storage.capacity < rows * columns || !isKnownUniquelyReferenced(&storage) {
            storage = AlignedStorage(capacity: rows * columns)
        }
        self.rows = rows
        self.columns = columns
    }

    /// Changes the shape and sets every value.
    public mutating func resize(rows: Int, columns: Int, filledWith value: Float) {
        resize(rows: rows, columns: columns)
        storage.pointer.update(repeating: value, count: count)
    }

    /// Changes the shape and keeps the values, row after row.
    ///
    /// - Precondition: `rows * columns` equals ``count``.
    public mutating func reshape(rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0 && rows * columns == count, "\(count) values as \(rows) x \(columns)")
        self.rows = rows
        self.columns = columns
    }

    /// Reads the values, row after row.
    public func withSpan<Result>(_ body: (Span<Float>) throws -> Result) rethrows -> Result {
        try body(UnsafeBufferPointer(start: storage.pointer, count: count).span)
    }

    /// Writes the values, row after row.
    public mutating func withMutableSpan<Result>(_ body: (inout MutableSpan<Float>) throws -> Result) rethrows -> Result
    {
        makeUnique()
        var span = UnsafeMutableBufferPointer(start: storage.pointer, count: count).mutableSpan
        return try body(&span)
    }

    /// Identifies the memory block that holds the values.
    public var storageIdentifier: ObjectIdentifier { ObjectIdentifier(storage) }

    /// Bytes that the values take.
    public var byteCount: Int { count * MemoryLayout<Float>.stride }

    /// Matrix blocks allocated since the process started.
    public static var allocationCount: Int { AlignedStorage.allocations.load(ordering: .relaxed) }

    /// Bytes of all matrices that the process currently holds.
    public static var allocatedBytes: Int { AlignedStorage.bytes.load(ordering: .relaxed) }
}

// Memory access within the module.
extension Matrix {
    mutating func makeUnique() {
        guard !isKnownUniquelyReferenced(&storage) else { return }
        let copy = AlignedStorage(capacity: storage.capacity)
        copy.pointer.initialize(from: storage.pointer, count: count)
        storage = copy
    }

    /// The values for reading; valid while the matrix is.
    var pointer: UnsafePointer<Float> { UnsafePointer(storage.pointer) }

    var retainedStorage: AlignedStorage { storage }

    /// The values for writing. Copies them first if another matrix shares them.
    mutating func uniquePointer() -> UnsafeMutablePointer<Float> {
        makeUnique()
        return storage.pointer
    }
}

extension Matrix: Equatable {
    public static func == (left: Matrix, right: Matrix) -> Bool {
        guard left.rows == right.rows, left.columns == right.columns else { return false }
        if left.storage === right.storage { return true }
        return (0..<left.count).allSatisfy { left.storage.pointer[$0] == right.storage.pointer[$0] }
    }
}

/// A 64-byte aligned block of Float32 values that matrices own or share.
///
/// `@unchecked Sendable`: only ``Matrix`` writes the values, after it has made sure that it holds the only reference, and readers hold
/// references that keep the block alive.
final class AlignedStorage: @unchecked Sendable {
    static let allocations = Atomic<Int>(0)
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
