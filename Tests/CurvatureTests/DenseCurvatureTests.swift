import LinearAlgebra
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("Preconditioning")
struct DenseCurvatureTests {
    @Test("with an exactly Kronecker curvature equals the dense (G + λI)⁻¹")
    func denseInverse() throws {
        let inputs = 5
        let outputs = 4
        var generator = SplitMix64(seed: 11)
        let activation = try eigen(order: inputs, &generator)
        let gradient = try eigen(order: outputs, &generator)
        var eigenvalues = Matrix(rows: outputs, columns: inputs)
        for row in 0..<outputs {
            for column in 0..<inputs {
                eigenvalues[row, column] = Float(gradient.values[row] * activation.values[column])
            }
        }
        let factors = LayerFactors(
            activationVectors: BlockDiagonal(activation.vectors), gradientVectors: BlockDiagonal(gradient.vectors),
            activationValues: activation.values, gradientValues: gradient.values, eigenvalues: eigenvalues)
        let damping = factors.defaultDamping
        let a = random(3, inputs, &generator)
        let d = random(3, outputs, &generator)

        var rotated = RotatedGradients()
        rotated.rotate([(a, d)], factors: factors)
        var quotient = Matrix()
        rotated.form(0, dividedBy: factors.eigenvalues, damping: Float(damping), into: &quotient)
        let found = factors.unrotated(quotient)

        // The dense curvature S ⊗ A in double precision, over vec(W) row by row, solved by elimination.
        let size = inputs * outputs
        let activationMatrix = product(activation, inputs)
        let gradientMatrix = product(gradient, outputs)
        var dense = [[Double]](repeating: [Double](repeating: 0, count: size), count: size)
        for i in 0..<outputs {
            for j in 0..<inputs {
                for k in 0..<outputs {
                    for l in 0..<inputs {
                        dense[i * inputs + j][k * inputs + l] = gradientMatrix[i][k] * activationMatrix[j][l]
                    }
                }
                dense[i * inputs + j][i * inputs + j] += damping
            }
        }
        var weightGradient = Matrix()
        weightGradient.formProduct(d.transposed, a.slice)
        let solved = solve(dense, weightGradient.elements.map(Double.init))
        let largest = solved.map(abs).max() ?? 0
        let worst = zip(found.elements, solved).map { abs(Double($0) - $1) }.max() ?? .infinity
        #expect(worst < 1e-4 * largest)
    }

    private func random(_ rows: Int, _ columns: Int, _ generator: inout SplitMix64) -> Matrix {
        Matrix(rows: rows, columns: columns, elements: (0..<(rows * columns)).map { _ in generator.nextNormal() })
    }

    private func eigen(order: Int, _ generator: inout SplitMix64) throws -> SymmetricEigen {
        var sum = SymmetricAccumulator(order: order)
        var gram = Matrix()
        sum.addGram(of: random(3 * order, order, &generator).slice, through: &gram)
        var mean: [Double] = []
        sum.formMean(ofBlock: 0, over: Double(3 * order), into: &mean)
        return try SymmetricEigen(of: mean, order: order)
    }

    private func product(_ eigen: SymmetricEigen, _ order: Int) -> [[Double]] {
        (0..<order).map { row in
            (0..<order).map { column in
                (0..<order).reduce(0) {
                    $0 + Double(eigen.vectors[row, $1]) * eigen.values[$1] * Double(eigen.vectors[column, $1])
                }
            }
        }
    }

    private func solve(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
        var matrix = zip(matrix, right).map { $0 + [$1] }
        let count = right.count
        for pivot in 0..<count {
            let best = (pivot..<count).max { abs(matrix[$0][pivot]) < abs(matrix[$1][pivot]) } ?? pivot
            matrix.swapAt(pivot, best)
            for row in 0..<count where row != pivot {
                let factor = matrix[row][pivot] / matrix[pivot][pivot]
                for column in pivot...count { matrix[row][column] -= factor * matrix[pivot][column] }
            }
        }
        return (0..<count).map { matrix[$0][count] / matrix[$0][$0] }
    }
}
