import Testing

@testable import LinearAlgebra

@Suite("A matrix")
struct MatrixTests {
    private let counting = Matrix(rows: 3, columns: 4, elements: (0..<12).map(Float.init))

    @Test("holds its values row after row")
    func layout() {
        #expect(counting[1, 2] == 6)
        #expect(counting.elements == (0..<12).map(Float.init))
        #expect(counting.withSpan { span in span.indices.map { span[$0] } } == counting.elements)
        #expect(Matrix(rows: 2, columns: 3).elements == [0, 0, 0, 0, 0, 0])
        #expect(Matrix().count == 0)
        #expect(counting.byteCount == 48)
    }

    @Test("is equal to one of the same shape and values alone")
    func equality() {
        #expect(counting == Matrix(rows: 3, columns: 4, elements: counting.elements))
        #expect(counting != Matrix(rows: 4, columns: 3, elements: counting.elements))
        var other = counting
        other[2, 3] = 0
        #expect(counting != other)
    }

    @Test("does not change when a copy of it is written", arguments: Write.allCases)
    func copies(write: Write) {
        let original = counting
        var copy = original
        #expect(copy.storageIdentifier == original.storageIdentifier)
        write.apply(to: &copy)
        #expect(original.elements == (0..<12).map(Float.init))
        #expect(copy.elements != original.elements)
    }

    @Test("may be written while a slice of it is kept: the slice stays as it was", arguments: Write.allCases)
    func keptSlices(write: Write) {
        var matrix = counting
        let slice = matrix[rows: 1..<3, columns: 1..<3]
        write.apply(to: &matrix)
        #expect(slice.doubleRows == [[5, 6], [9, 10]])
        #expect(matrix.elements != counting.elements)
    }

    @Test("is written in place when nobody shares it")
    func writtenInPlace() {
        var matrix = counting
        matrix[0, 0] = 1
        let block = matrix.storageIdentifier
        for write in Write.allCases where write != .resize { write.apply(to: &matrix) }
        #expect(matrix.storageIdentifier == block)
    }

    /// Every way to write to a 3 x 4 matrix.
    enum Write: CaseIterable, Sendable {
        case subscripting, span, scaling, adding, addingRow, product, addingProduct, block, copying, copyingValues
        case fillingColumn, resize, filling, gathering, scattering

        func apply(to matrix: inout Matrix) {
            let ones = Matrix(rows: 3, columns: 4, elements: [Float](repeating: 1, count: 12))
            switch self {
            case .subscripting: matrix[1, 1] = -1
            case .span: matrix.withMutableSpan { $0[5] = -1 }
            case .scaling: matrix.scale(by: 2)
            case .adding: matrix.add(ones)
            case .addingRow: matrix.addRow(0, of: ones, to: 1)
            case .product: matrix.formProduct(ones.slice, Matrix(rows: 4, columns: 4).slice)
            case .addingProduct: matrix.addProduct(ones[columns: 0..<2], ones[rows: 0..<2])
            case .block:
                matrix.setBlock(row: 1, column: 1, toProduct: ones[columns: 0..<1].transposed, ones[columns: 0..<1])
            case .copying: matrix.copy(ones[rows: 0..<1], toRow: 1, column: 0)
            case .copyingValues: matrix.copyValues(of: ones)
            case .fillingColumn: matrix.fillColumn(1, with: -1)
            case .resize:
                matrix.resize(rows: 2, columns: 2)
                matrix[1, 1] = -1
            case .filling: matrix.resize(rows: 3, columns: 4, filledWith: -1)
            case .gathering: matrix.gatherRows([0, 1, 1], of: ones)
            case .scattering: matrix.scatterRows(of: ones, to: [2, 1, 0], rows: 3)
            }
        }
    }

    @Test("keeps its memory when it becomes smaller, and as large again")
    func resizing() {
        var matrix = Matrix(rows: 10, columns: 10)
        let block = matrix.storageIdentifier
        for (rows, columns) in [(3, 4), (0, 7), (10, 10), (100, 1), (9, 11)] {
            matrix.resize(rows: rows, columns: columns)
            #expect(matrix.rows == rows && matrix.columns == columns && matrix.elements.count == rows * columns)
            #expect(matrix.storageIdentifier == block)
        }
        matrix.resize(rows: 101, columns: 1)
        #expect(matrix.storageIdentifier != block)
    }

    @Test("begins at a multiple of 64 bytes, and counts the blocks it takes", arguments: [0, 1, 17, 1_000])
    func memory(count: Int) {
        let before = Matrix.allocationCount
        let matrix = Matrix(rows: 1, columns: count)
        #expect(Matrix.allocationCount > before)
        #expect(Int(bitPattern: matrix.pointer) % 64 == 0)
    }

    @Test("leaves the memory to a copy when it is resized")
    func resizingShared() {
        var matrix = counting
        matrix.resize(rows: 1, columns: 2, filledWith: 9)
        #expect(matrix.elements == [9, 9])
        #expect(counting[0, 0] == 0)
    }

    @Test("has parts, transposed or not, that read its values")
    func slices() {
        let part = counting[rows: 1..<3, columns: 2..<4]
        #expect(part.doubleRows == [[6, 7], [10, 11]])
        #expect(part.transposed.doubleRows == [[6, 10], [7, 11]])
        #expect(part.transposed.transposed.doubleRows == part.doubleRows)
        #expect(part[columns: 1..<2].doubleRows == [[7], [11]])
        #expect(counting[rows: 1..<2].doubleRows == [[4, 5, 6, 7]])
        #expect(counting[columns: 3..<4].transposed.doubleRows == [[3, 7, 11]])
        #expect(Matrix(counting.transposed).doubleRows == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]])
        #expect(counting.transposedCopy() == Matrix(counting.transposed))
        #expect(Matrix(counting[rows: 2..<2]).rows == 0)
    }

    @Test("takes copies of parts, transposed or not, into a block")
    func copyingBlocks() {
        var target = Matrix(rows: 3, columns: 3)
        target.copy(counting[rows: 0..<2, columns: 1..<2], toRow: 1, column: 0)
        target.copy(counting[rows: 0..<2, columns: 1..<2].transposed, toRow: 0, column: 1)
        #expect(target.doubleRows == [[0, 1, 5], [1, 0, 0], [5, 0, 0]])
        target.copy(target[rows: 1..<3], toRow: 0, column: 0)
        #expect(target.doubleRows == [[1, 0, 0], [5, 0, 0], [5, 0, 0]])
        target.copyValues(of: counting)
        #expect(target == counting)
        #expect(target.storageIdentifier != counting.storageIdentifier)
    }

    @Test("gathers rows in any order and scatters them back among zeros")
    func gatherAndScatter() {
        var gathered = Matrix()
        gathered.gatherRows([2, 0, 2], of: counting)
        #expect(gathered.doubleRows == [[8, 9, 10, 11], [0, 1, 2, 3], [8, 9, 10, 11]])
        var scattered = Matrix(rows: 4, columns: 4, elements: [Float](repeating: 7, count: 16))
        scattered.scatterRows(of: Matrix(gathered[rows: 0..<2]), to: [3, 1], rows: 4)
        #expect(scattered.doubleRows == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 0, 0, 0], [8, 9, 10, 11]])
        gathered.gatherRows([], of: counting)
        #expect(gathered.rows == 0 && gathered.columns == 4)
    }

    @Test("fills one column and no other")
    func fillingColumn() {
        var matrix = counting
        matrix.fillColumn(3, with: -1)
        #expect(matrix.doubleRows == [[0, 1, 2, -1], [4, 5, 6, -1], [8, 9, 10, -1]])
    }
}
