import LinearAlgebra
import Transformer

extension SafetensorsWriter {
    /// Adds a tensor of the name, or one a block: `name.block.0` and so on.
    mutating func add(_ name: String, blocks matrix: BlockDiagonal) {
        if let whole = matrix.blocks.first, matrix.blocks.count == 1 { return add(name, whole) }
        for (index, block) in matrix.blocks.enumerated() { add("\(name).block.\(index)", block) }
    }
}

extension SafetensorsFile {
    /// Reads a layer's eigenvalues.
    ///
    /// - Throws: ``SafetensorsError``, also if there are more or fewer than expected.
    func eigenvalues(named name: String, count: Int) throws -> [Double] {
        let values = try doubles(named: name)
        guard values.count == count else {
            throw SafetensorsError.wrongShape(tensor: name, file: fileName, expected: [count], found: [values.count])
        }
        return values
    }

    /// Reads what ``SafetensorsWriter/add(_:blocks:)`` wrote.
    ///
    /// - Parameter largest: Rows of the blocks into which larger matrices were split, at most.
    /// - Throws: ``SafetensorsError``.
    func blocks(named name: String, order: Int, largest: Int?) throws -> BlockDiagonal {
        let ranges = BlockDiagonal.ranges(order: order, largest: largest)
        guard ranges.count > 1 else { return BlockDiagonal(try matrix(named: name, rows: order, columns: order)) }
        return BlockDiagonal(
            blocks: try ranges.enumerated().map { index, range in
                try matrix(named: "\(name).block.\(index)", rows: range.count, columns: range.count)
            })
    }
}
