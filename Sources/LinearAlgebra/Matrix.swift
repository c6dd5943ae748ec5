/// A row-major Float32 matrix with value semantics.
///
/// Copies share their values until one of them is written, so that a matrix handed to a consumer is safe to keep, and a
/// matrix that nobody kept is overwritten in place. ``resize(rows:columns:)`` reuses the block it has whenever that is large
/// enough: a workspace of matrices stops allocating once it has seen its largest batch.
public struct Matrix: Sendable {
    public private(set) var rows: Int
    public private(set) var columns: Int
    private var storage: AlignedStorage

    /// A matrix of zeros.
    public init(rows: Int, columns: Int) {
        self.init(unspecifiedRows: rows, columns: columns)
        storage.pointer.initialize(repeating: 0, count: rows * columns)
    }

    /// A matrix without values, to be given a shape later.
    public init() {
        self.init(unspecifiedRows: 0, columns: 0)
    }

    /// A matrix of the given values, row after row.
    ///
    /// - Precondition: `elements` holds `rows * columns` values.
    public init(rows: Int, columns: Int, elements: [Float]) {
        precondition(elements.count == rows * columns, "a \(rows) x \(columns) matrix needs \(rows * columns) values")
        self.init(unspecifiedRows: rows, columns: columns)
        elements.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { storage.pointer.initialize(from: base, count: elements.count) }
        }
    }

    init(unspecifiedRows rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix has no negative dimension")
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

    /// Gives the matrix a shape; its values are unspecified afterwards.
    public mutating func resize(rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix has no negative dimension")
        if storage.capacity < rows * columns || !isKnownUniquelyReferenced(&storage) {
            storage = AlignedStorage(capacity: rows * columns)
        }
        self.rows = rows
        self.columns = columns
    }

    /// Gives the matrix a shape and fills it with one value.
    public mutating func resize(rows: Int, columns: Int, filledWith value: Float) {
        resize(rows: rows, columns: columns)
        storage.pointer.update(repeating: value, count: count)
    }

    /// Gives the values, as they lie row after row, to as many rows and columns.
    ///
    /// - Precondition: `rows * columns` is the present ``count``.
    public mutating func reshape(rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0 && rows * columns == count, "another number of values")
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

    /// Identifies the block of memory that holds the values.
    public var storageIdentifier: ObjectIdentifier { ObjectIdentifier(storage) }

    /// Bytes that the values take.
    public var byteCount: Int { count * MemoryLayout<Float>.stride }

    /// Matrix blocks allocated since the process started.
    public static var allocationCount: Int { AlignedStorage.allocations.load(ordering: .relaxed) }

    /// Bytes of all matrices that the process holds now.
    public static var allocatedBytes: Int { AlignedStorage.bytes.load(ordering: .relaxed) }
}

// The module's own access to the memory.
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

    /// The values for writing, after making sure that no other matrix shares them.
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
