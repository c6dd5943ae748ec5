import COpenBLAS

/// A matrix as a product of two thin ones: `left · rightᵀ`.
public struct LowRank: Sendable {
    /// rows × rank
    public let left: MatrixSlice
    /// columns × rank
    public let right: MatrixSlice

    public var rank: Int { left.columns }

    public init(left: MatrixSlice, right: MatrixSlice) {
        precondition(left.columns == right.columns, "factors of rank \(left.columns) and \(right.columns)")
        self.left = left
        self.right = right
    }

    /// Approximates a matrix by one of at most the given rank, nearly optimally in the least-squares sense: on preconditioned gradients
    /// the error is at most three per cent above the smallest possible error.
    ///
    /// Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) that starts with sums of the matrix's rows under
    /// fixed random signs: this reads the matrix once, and is half an iteration ahead of a random start. The same input gives the same
    /// factors. The truncation uses the eigenvectors of the small Gram matrix, in Float64.
    ///
    /// - Parameters:
    ///   - rank: The largest rank. A matrix with at most this many rows or columns is represented exactly.
    ///   - oversampling: The least number of additional directions that are followed, and dropped at the end.
    ///   - iterations: Multiplications by the matrix and its transpose. Each one sharpens the subspace.
    /// - Throws: ``EigenError`` if the matrix is not finite.
    public init(
        approximating matrix: Matrix, rank: Int, oversampling: Int = 24, iterations: Int = 0
    ) throws(EigenError) {
        precondition(rank > 0, "rank \(rank)")
        // Rounded up to whole vectors of the processor: products with 64 columns take no longer than with 56.
        let width = (rank + oversampling + 15) / 16 * 16
        // For a matrix that is not much wider than that, finding the Gram matrix's eigenvectors is as fast.
        guard 2 * width < min(matrix.rows, matrix.columns) else {
            try self.init(truncating: matrix, to: rank)
            return
        }
        var range = Matrix()
        range.formProduct(matrix.slice, matrix.signedRowSums(width).transposed)  // rows × width
        try range.orthonormalizeColumns()
        var image = Matrix()
        for _ in 0..<iterations {
            image.formProduct(matrix.transposed, range.slice)  // columns × width
            range.formProduct(matrix.slice, image.slice)
            try range.orthonormalizeColumns()
        }
        var projected = Matrix()
        projected.formProduct(range.transposed, matrix.slice)  // width × columns
        let small = try LowRank(truncating: projected, to: rank)
        var left = Matrix()
        left.formProduct(range.slice, small.left)
        self.init(left: left.slice, right: small.right)
    }

    /// The same approximation with the fewest directions whose loss is at most this share of the matrix's squared Frobenius norm.
    ///
    /// - Parameter matrix: What is approximated. If the approximation loses more already, all of its directions are kept.
    public func truncated(toLose share: Double, of matrix: Matrix) -> LowRank {
        // One factor's columns are orthonormal, and the other's are as long as the singular values: smallest first.
        let squares = zip(left.columnSquares, right.columnSquares).map { $0 * $1 }
        let total = matrix.squaredNorm
        var lost = max(total - squares.reduce(0, +), 0)
        var first = 0
        while first < rank - 1, lost + squares[first] <= share * total {
            lost += squares[first]
            first += 1
        }
        return LowRank(left: left[columns: first..<rank], right: right[columns: first..<rank])
    }

    /// The best approximation, from the eigenvectors of the smaller Gram matrix.
    private init(truncating matrix: Matrix, to rank: Int) throws(EigenError) {
        let isWide = matrix.rows <= matrix.columns
        let order = min(matrix.rows, matrix.columns)
        let gram = matrix.gramInDouble(ofRows: isWide)
        let eigen = try SymmetricEigen(of: gram, order: order)
        let kept = min(rank, order)
        let leading = Matrix(eigen.vectors[columns: (order - kept)..<order]).slice
        var other = Matrix()
        if isWide {
            other.formProduct(matrix.transposed, leading)
            self.init(left: leading, right: other.slice)
        } else {
            other.formProduct(matrix.slice, leading)
            self.init(left: other.slice, right: leading)
        }
    }
}

extension Matrix {
    /// `M Mᵀ` or `Mᵀ M`, accumulated in Float64 so that the squares do not lose small singular values.
    func gramInDouble(ofRows: Bool) -> [Double] {
        let order = ofRows ? rows : columns
        let values = pointer
        let doubles = [Double](unsafeUninitializedCapacity: count) { doubles, initialized in
            for index in 0..<count { doubles[index] = Double(values[index]) }
            initialized = count
        }
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

    /// The sums of every `count`th row, starting with the first, the second, …, under fixed random signs: count × columns.
    fileprivate func signedRowSums(_ count: Int) -> Matrix {
        var generator = SplitMix64(seed: 0x5EED_0F1A_C7)
        var sums = Matrix(rows: count, columns: columns)
        let base = sums.uniquePointer()
        for row in 0..<rows {
            cblas_saxpy(
                Int32(columns), generator.next() & 1 == 0 ? 1 : -1, pointer + row * columns, 1,
                base + row % count * columns, 1)
        }
        return sums
    }

    /// Replaces the columns by an orthonormal basis of their span, as far as Float32 can resolve it, padded with columns of zeros.
    ///
    /// It uses pivoted Cholesky factorisations of the Gram matrix, two because the columns may be far from orthogonal (Yamamoto et al.
    /// 2015), the first with a Gram matrix in Float64. LAPACK's own orthogonalisation passes over memory once per column.
    ///
    /// - Throws: ``EigenError/notFinite`` if a value is not finite.
    fileprivate mutating func orthonormalizeColumns() throws(EigenError) {
        guard isFinite else { throw EigenError.notFinite }
        guard let coefficients = Self.orthonormalizing(gramInDouble(ofRows: false), order: columns) else {
            // All zeros: any direction will do.
            self = Matrix(rows: rows, columns: 1)
            self[0, 0] = 1
            return
        }
        var basis = Matrix()
        basis.formProduct(slice, coefficients.slice)
        // The columns are nearly orthonormal now, and Float32 is exact enough to correct them.
        guard let correction = Self.orthonormalizing(basis.gram, order: columns) else { return }
        formProduct(basis.slice, correction.slice)
    }

    /// `Mᵀ M`
    private var gram: [Double] {
        var gram = Matrix()
        gram.formProduct(transposed, slice)
        return gram.elements.map(Double.init)
    }

    /// Below this share of the largest squared column norm, values are only rounding errors.
    private static let negligible = 1e-13

    /// The matrix by which columns are multiplied to make them orthonormal. Columns that depend on others become zero. It is order × order,
    /// so that products have the same shapes whatever the rank; nil if all columns are zero.
    ///
    /// - Parameter gram: The Gram matrix of the columns, order × order.
    private static func orthonormalizing(_ gram: [Double], order: Int) -> Matrix? {
        var gram = gram
        let largest = (0..<order).reduce(0) { max($0, gram[$1 * order + $1]) }
        guard largest > 0 else { return nil }
        // To LAPACK, a row-major upper triangle is a lower one.
        var size = Int32(order)
        var pivots = [Int32](repeating: 0, count: order)
        var rank: Int32 = 0
        var tolerance = negligible * largest
        var work = [Double](repeating: 0, count: 2 * order)
        var status: Int32 = 0
        dpstrf_("L", &size, &gram, &size, &pivots, &rank, &tolerance, &work, &status)
        let kept = Int(rank)
        var inverse = [Double](repeating: 0, count: kept * kept)
        for index in 0..<kept { inverse[index * kept + index] = 1 }
        cblas_dtrsm(
            CblasRowMajor, CblasLeft, CblasUpper, CblasNoTrans, CblasNonUnit, rank, rank, 1, gram, size,
            &inverse, rank)
        var coefficients = Matrix(rows: order, columns: order)
        for row in 0..<kept {
            for column in row..<kept {
                coefficients[Int(pivots[row]) - 1, column] = Float(inverse[row * kept + column])
            }
        }
        return coefficients
    }
}

extension MatrixSlice {
    /// The squared norm of each column.
    fileprivate var columnSquares: [Double] {
        let values = Matrix(self)
        var squares = [Double](repeating: 0, count: columns)
        for row in 0..<rows {
            for column in 0..<columns {
                let value = Double(values[row, column])
                squares[column] += value * value
            }
        }
        return squares
    }
}
