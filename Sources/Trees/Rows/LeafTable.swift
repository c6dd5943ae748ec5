import LinearAlgebra

/// The leaf of every row in every tree, and the rows' labels.
///
/// Rows are in blocks; a block has its leaves tree by tree, so that a pass over a block's rows and all trees stays in the cache.
public struct LeafTable: Sendable {
    struct Block: Sendable {
        /// The number of its first row.
        let start: Int
        let labels: [Double]
        /// The leaf of row `r` in tree `t` is at `t * rows + r`.
        let leaves: [UInt16]

        var rows: Int { labels.count }
    }

    private(set) var blocks: [Block] = []
    public private(set) var rows = 0
    /// The number of a tree's leaves, for each tree.
    let leafCounts: [Int]
    /// The index of a tree's first leaf among the leaves of all trees, and at the end their number.
    let starts: [Int]

    static let blockRows = 2_048

    /// The bytes of the leaf numbers.
    public var size: Int { rows * leafCounts.count * 2 }

    private init(_ forest: Forest) {
        leafCounts = forest.trees.map(\.leafValues.count)
        starts = leafCounts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
    }

    public var labels: [Double] { blocks.flatMap(\.labels) }

    /// Reads all rows, and finds their leaves.
    ///
    /// - Parameters:
    ///   - progress: Receives the bytes read of the file's. What it throws ends the reading.
    /// - Throws: ``TreesError``, `TableError`, or what `progress` throws.
    public static func read(
        _ reader: RowReader, forest: Forest, workers: Workers = Workers(),
        progress: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> LeafTable {
        var table = LeafTable(forest)
        while true {
            // A batch of blocks is read, then walked through the trees in parallel; the features are not kept.
            var batch: [RowReader.Block] = []
            while batch.count < 4 * workers.count, let block = try reader.next(blockRows) { batch.append(block) }
            guard !batch.isEmpty else { break }
            try table.add(batch, forest: forest, workers: workers)
            try progress(reader.bytesRead, reader.size)
        }
        return table
    }

    /// Finds the leaves of rows in memory.
    public static func of(_ rows: RowReader.Block, forest: Forest, workers: Workers = Workers()) throws -> LeafTable {
        var table = LeafTable(forest)
        let features = forest.features.count
        var batch: [RowReader.Block] = []
        for start in stride(from: 0, to: rows.labels.count, by: blockRows) {
            let end = min(start + blockRows, rows.labels.count)
            var block = RowReader.Block()
            block.values = Array(rows.values[start * features..<end * features])
            block.labels = Array(rows.labels[start..<end])
            batch.append(block)
        }
        try table.add(batch, forest: forest, workers: workers)
        return table
    }

    private mutating func add(_ batch: [RowReader.Block], forest: Forest, workers: Workers) throws {
        let features = forest.features.count
        let leaves = try workers.map(0..<batch.count) { _, index in
            let block = batch[index]
            var leaves = [UInt16](repeating: 0, count: forest.trees.count * block.labels.count)
            for (tree, splits) in forest.trees.enumerated() {
                for row in block.labels.indices {
                    leaves[tree * block.labels.count + row] = UInt16(
                        truncatingIfNeeded: splits.leaf(of: block.values, from: row * features))
                }
            }
            return leaves
        }
        for (block, leaves) in zip(batch, leaves) {
            blocks.append(Block(start: rows, labels: block.labels, leaves: leaves))
            rows += block.labels.count
        }
        guard size <= TreeLimits.leafTableSize else {
            throw TreesError.tooMany(
                file: forest.file, what: "bytes of leaf numbers for these rows", limit: TreeLimits.leafTableSize)
        }
    }

    /// Some of the rows, as a table of their own.
    public func rows(_ range: Range<Int>) -> LeafTable {
        var table = self
        table.blocks = []
        table.rows = 0
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.blockRows) {
            let rows = start..<min(start + Self.blockRows, range.upperBound)
            table.blocks.append(
                Block(
                    start: table.rows, labels: rows.map { label(of: $0) },
                    leaves: leafCounts.indices.flatMap { tree in
                        rows.map { UInt16(truncatingIfNeeded: leaf(of: $0, in: tree)) }
                    }))
            table.rows += rows.count
        }
        return table
    }

    func leaf(of row: Int, in tree: Int) -> Int {
        let block = blocks[row / Self.blockRows]
        return Int(block.leaves[tree * block.rows + row % Self.blockRows])
    }

    public func label(of row: Int) -> Double { blocks[row / Self.blockRows].labels[row % Self.blockRows] }
}
