import COpenBLAS
import CVectorKernels

// The safe face of the element-wise kernels: each one checks the shapes that the C code relies on.

extension Matrix {
    /// Adds another matrix.
    public mutating func add(_ other: Matrix) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        tributary_add(other.pointer, uniquePointer(), count)
    }

    /// Adds `scale · other`.
    public mutating func add(_ other: Matrix, scaledBy scale: Float) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        guard count > 0 else { return }
        let destination = uniquePointer()
        // Row by row: BLAS's 32-bit integers may not hold the number of all values.
        for row in 0..<rows {
            cblas_saxpy(Int32(columns), scale, other.pointer + row * columns, 1, destination + row * columns, 1)
        }
    }

    /// Multiplies each column by its own factor.
    ///
    /// - Parameter factors: 1 × columns
    public mutating func scaleColumns(by factors: Matrix) {
        precondition(factors.count == columns, "\(factors.count) factors for \(columns) columns")
        tributary_scale_columns(factors.pointer, uniquePointer(), rows, columns)
    }

    /// Multiplies each row from `first` on by its own factor.
    public mutating func scaleRows(from first: Int, by factors: [Float]) {
        precondition(first >= 0 && first + factors.count <= rows, "\(factors.count) rows from \(first) of \(rows)")
        let destination = uniquePointer() + first * columns
        for (row, factor) in factors.enumerated() where factor != 1 {
            tributary_scale(factor, destination + row * columns, columns)
        }
    }

    /// Adds to each row from `first` on a multiple of the corresponding row of another matrix.
    ///
    /// - Parameter factors: One per row of the other matrix.
    public mutating func addRows(from first: Int, of other: Matrix, scaledBy factors: [Float]) {
        precondition(
            columns == other.columns && other.rows == factors.count && first >= 0 && first + other.rows <= rows,
            "shapes differ")
        let destination = uniquePointer() + first * columns
        for (row, factor) in factors.enumerated() {
            cblas_saxpy(Int32(columns), factor, other.pointer + row * columns, 1, destination + row * columns, 1)
        }
    }

    /// Adds one number to every value.
    public mutating func add(_ number: Float) {
        guard number != 0 else { return }
        withMutableSpan { values in
            for index in values.indices { values[index] += number }
        }
    }

    /// Adds a row of another matrix to one of this matrix's rows.
    public mutating func addRow(_ sourceRow: Int, of source: Matrix, to row: Int) {
        precondition(
            columns == source.columns && row >= 0 && row < rows && sourceRow >= 0 && sourceRow < source.rows,
            "row \(sourceRow) of \(source.rows) x \(source.columns) to row \(row) of \(rows) x \(columns)")
        tributary_add(source.pointer + sourceRow * columns, uniquePointer() + row * columns, columns)
    }

    /// Adds each row of another matrix, in order, to the row at its index.
    public mutating func addRows(of source: Matrix, to indices: [Int]) {
        precondition(source.rows == indices.count, "\(source.rows) rows for \(indices.count) indices")
        for (row, index) in indices.enumerated() { addRow(row, of: source, to: index) }
    }

    /// Adds one row to every row.
    public mutating func addToRows(_ row: MatrixSlice) {
        precondition(row.rows == 1 && row.columns == columns && !row.isTransposed, "shapes differ")
        let destination = uniquePointer()
        for start in stride(from: 0, to: count, by: columns) {
            tributary_add(row.pointer, destination + start, columns)
        }
    }

    /// Multiplies every value.
    public mutating func scale(by factor: Float) {
        tributary_scale(factor, uniquePointer(), count)
    }

    /// The sum of element-wise products, in Float64.
    public func dot(_ other: Matrix) -> Double {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        return tributary_dot(pointer, other.pointer, count)
    }

    /// The sum of the squares, in Float64.
    public var squaredNorm: Double { tributary_dot(pointer, pointer, count) }

    /// Becomes `numerator / (denominator + damping)`, element by element.
    public mutating func formDampedQuotient(_ numerator: Matrix, _ denominator: Matrix, damping: Float) {
        precondition(numerator.rows == denominator.rows && numerator.columns == denominator.columns, "shapes differ")
        resize(rows: numerator.rows, columns: numerator.columns)
        tributary_divide_damped(numerator.pointer, denominator.pointer, damping, uniquePointer(), count)
    }

    /// Divides each element of some rows by `denominator + damping`, whose element is in the same row and column.
    public mutating func divide(rows range: Range<Int>, by denominator: Matrix, damping: Float) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= min(rows, denominator.rows) && columns == denominator.columns,
            "shapes differ")
        let start = range.lowerBound * columns
        tributary_divide_in_place(
            denominator.pointer + start, damping, uniquePointer() + start, range.count * columns)
    }

    /// Whether no value is infinite or not a number.
    public var isFinite: Bool { tributary_all_finite(pointer, count) != 0 }

    /// One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019), in place.
    public mutating func applyAdamW(
        gradient: Matrix, firstMoment: inout Matrix, secondMoment: inout Matrix, learningRate: Float, beta1: Float,
        beta2: Float, step: Int, epsilon: Float, weightDecay: Float, gradientScale: Float
    ) {
        precondition(
            gradient.count == count && firstMoment.count == count && secondMoment.count == count && step > 0,
            "shapes differ, or step \(step)")
        tributary_adamw(
            uniquePointer(), gradient.pointer, firstMoment.uniquePointer(), secondMoment.uniquePointer(), learningRate,
            beta1, beta2, 1 - power(beta1, step), 1 - power(beta2, step), epsilon, weightDecay, gradientScale, count)
    }
}

private func power(_ base: Float, _ exponent: Int) -> Float {
    var result = 1.0
    var factor = Double(base)
    var remaining = exponent
    while remaining > 0 {
        if remaining & 1 == 1 { result *= factor }
        factor *= factor
        remaining >>= 1
    }
    return Float(result)
}
