import COpenBLAS

/// A matrix as a product of two thin ones: `left · rightᵀ`.
public struct LowRank: Sendable {
    /// rows × rank
    public var left: Matrix
    /// columns × rank
    public var right: Matrix

    public var rank: Int { left.columns }

    public init(left: Matrix, right: Matrix) {
        precondition(left.columns == right.columns, "both factors have one column a rank")
        self.left = left
        self.right = right
    }

    /// The best approximation of a matrix by one of at most the given rank, in the least-squares sense, very nearly.
    ///
    /// Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) with a fixed test matrix, so that the
    /// same input gives the same factors; the truncation is by the eigenvectors of the small Gram matrix, in Float64.
    ///
    /// - Parameters:
    ///   - matrix: Any matrix.
    ///   - rank: The largest rank wanted; a matrix with no more rows or columns than that comes back exact.
    ///   - oversampling: Additional directions followed, and dropped at the end.
    ///   - iterations: Multiplications by the matrix and its transpose; each sharpens the subspace.
    /// - Throws: ``EigenError`` if the matrix is not finite.
    public init(approximating matrix: Matrix, rank: Int, oversampling: Int = 16, iterations: Int = 4) throws {
        precondition(rank > 0, "a rank is positive")
        let width = rank + oversampling
        guard width < min(matrix.rows, matrix.columns) else {
            try self.init(truncating: matrix, to: rank)
            return
        }
        var generator = SplitMix64(seed: 0x5EED_0F1A_C7)
        var test = Matrix(rows: matrix.columns, columns: width)
        test.withMutableSpan { span in
            for index in span.indices { span[index] = generator.nextNormal() }
        }
        var range = Matrix()
        range.formProduct(matrix.slice, test.slice)  // rows × width
        try range.orthonormalizeColumns()
        for _ in 0..<iterations {
            test.formProduct(matrix.transposed, range.slice)  // columns × width
            try test.orthonormalizeColumns()
            range.formProduct(matrix.slice, test.slice)
            try range.orthonormalizeColumns()
        }
        var projected = Matrix()
        projected.formProduct(range.transposed, matrix.slice)  // width × columns
        let small = try LowRank(truncating: projected, to: rank)
        var left = Matrix()
        left.formProduct(range.slice, small.left.slice)
        self.init(left: left, right: small.right)
    }

    /// The best approximation by way of the smaller Gram matrix's eigenvectors.
    private init(truncating matrix: Matrix, to rank: Int) throws {
        let isWide = matrix.rows <= matrix.columns
        let order = min(matrix.rows, matrix.columns)
        let gram = matrix.gramInDouble(ofRows: isWide)
        let eigen = try SymmetricEigen(of: gram, order: order)
        let kept = min(rank, order)
        let leading = Matrix(eigen.vectors[columns: (order - kept)..<order])
        var other = Matrix()
        if isWide {
            other.formProduct(matrix.transposed, leading.slice)
            self.init(left: leading, right: other)
        } else {
            other.formProduct(matrix.slice, leading.slice)
            self.init(left: other, right: leading)
        }
    }
}

extension Matrix {
    /// `M Mᵀ` or `Mᵀ M`, accumulated in Float64 so that small singular values are not lost in the squares.
    fileprivate func gramInDouble(ofRows: Bool) -> [Double] {
        let order = ofRows ? rows : columns
        let doubles = elements.map(Double.init)
        var gram = [Double](repeating: 0, count: order * order)
        cblas_dsyrk(
            CblasRowMajor, CblasUpper, ofRows ? CblasNoTrans : CblasTrans, Int32(order), Int32(ofRows ? columns : rows),
            1,
            doubles, Int32(max(columns, 1)), 0, &gram, Int32(max(order, 1)))
        for row in 0..<order {
            for column in row..<order { gram[column * order + row] = gram[row * order + column] }
        }
        return gram
    }

    /// Replaces the columns by an orthonormal basis of their span.
    ///
    /// - Throws: ``EigenError/notFinite`` if a value is not finite.
    fileprivate mutating func orthonormalizeColumns() throws {
        // A row-major rows × columns matrix is, to LAPACK, a column-major columns × rows one, whose rows are to be made
        // orthonormal: an LQ factorisation.
        var height = Int32(columns)
        var width = Int32(rows)
        var status: Int32 = 0
        var workCount = Int32(max(columns, 1) * 64)
        var work = [Float](repeating: 0, count: Int(workCount))
        var tau = [Float](repeating: 0, count: columns)
        let base = uniquePointer()
        guard withSpan({ span in span.indices.allSatisfy { span[$0].isFinite } }) else { throw EigenError.notFinite }
        sgelqf_(&height, &width, base, &height, &tau, &work, &workCount, &status)
        guard status == 0 else { throw EigenError.notConverged(order: columns) }
        sorglq_(&height, &width, &height, base, &height, &tau, &work, &workCount, &status)
        guard status == 0 else { throw EigenError.notConverged(order: columns) }
    }
}
