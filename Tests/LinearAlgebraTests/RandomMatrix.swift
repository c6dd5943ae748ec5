import LinearAlgebra

/// Widths at which kernels meet vectors that are empty, whole, and cut short.
let oddSizes = [1, 7, 31, 32, 33, 576]

extension Matrix {
    /// Standard normal values times a factor; the same for the same seed.
    static func random(rows: Int, columns: Int, seed: UInt64, scale: Float = 1) -> Matrix {
        var generator = SplitMix64(seed: seed)
        let elements = (0..<(rows * columns)).map { _ in scale * generator.nextNormal() }
        return Matrix(rows: rows, columns: columns, elements: elements)
    }

    init(doubleRows: [[Double]]) {
        self.init(
            rows: doubleRows.count, columns: doubleRows.first?.count ?? 0, elements: doubleRows.joined().map(Float.init)
        )
    }

    var doubles: [Double] { elements.map(Double.init) }

    var doubleRows: [[Double]] {
        let values = doubles
        return (0..<rows).map { Array(values[($0 * columns)..<(($0 + 1) * columns)]) }
    }
}

extension MatrixSlice {
    var doubleRows: [[Double]] { (0..<rows).map { row in (0..<columns).map { Double(self[row, $0]) } } }
}

/// The largest difference between two lists as a share of `scale`, by default the largest magnitude expected.
///
/// Infinite where the counts differ or anything found is not finite, so that no comparison passes by accident.
func deviation(_ found: [Double], from expected: [Double], relativeTo scale: Double? = nil) -> Double {
    guard found.count == expected.count, found.allSatisfy(\.isFinite) else { return .infinity }
    let worst = zip(found, expected).map { abs($0 - $1) }.max() ?? 0
    let scale = scale ?? expected.map(abs).max() ?? 0
    return worst == 0 ? 0 : worst / scale
}

func deviation(_ found: Matrix, from expected: [[Double]], relativeTo scale: Double? = nil) -> Double {
    guard found.rows == expected.count, expected.allSatisfy({ $0.count == found.columns }) else { return .infinity }
    return deviation(found.doubles, from: Array(expected.joined()), relativeTo: scale)
}
