import LinearAlgebra
import Synchronization
import TestSupport
import Testing

@testable import Curvature
@testable import Evaluation
@testable import Transformer

@Suite("Inverse products against the dense Gauss-Newton matrix")
struct DenseOracleTests {
    static let kinds: [TinyCurvature.Kind] = [.gated, .biased]

    @Test("start from products that are those of the dense matrix", arguments: kinds)
    func products(kind: TinyCurvature.Kind) throws {
        let tiny = try TinyCurvature.cached(kind)
        let vector = tiny.vector
        let found = try tiny.matrix.products(of: [vector])[0]
        var expected = Matrix()
        expected.formProduct(tiny.dense.slice, vector.column.slice)
        #expect(found.distance(from: vector.shaped(expected.elements)) < 1e-4)
    }

    @Test("by conjugate gradients are (G + λI)⁻¹ v, preconditioned or not", arguments: kinds)
    func conjugateGradients(kind: TinyCurvature.Kind) throws {
        let tiny = try TinyCurvature.cached(kind)
        let exact = try tiny.exact(damping: tiny.damping)
        let plain = try ConjugateGradients(tiny.matrix, damping: tiny.damping, iterations: 400).solve([tiny.vector])
        #expect(plain.vectors[0].distance(from: exact) < 1e-3)
        let preconditioned = try ConjugateGradients(
            tiny.matrix, damping: tiny.damping, preconditioner: KroneckerInverse(corrected: tiny.factors),
            iterations: 400
        ).solve([tiny.vector])
        #expect(preconditioned.vectors[0].distance(from: exact) < 1e-3)
        #expect(preconditioned.cost.iterations < plain.cost.iterations)
        #expect(plain.cost.sequences == plain.cost.iterations * tiny.matrix.count)
    }

    // At the usual damping: how many iterations that takes is decided by the largest eigenvalue of the system (times the inverse of
    // the preconditioner) over the smallest, which is small where there are few parameters.

    @Test("by LiSSA are (G + λI)⁻¹ v once it has converged")
    func lissa() throws {
        let tiny = try TinyCurvature.cached(.small)
        let exact = try tiny.exact(damping: tiny.damping)
        func solve(_ iterations: Int) throws -> InverseProducts {
            try NeumannIteration.lissa(
                tiny.matrix, damping: tiny.damping, .init(iterations: iterations, batchSize: tiny.matrix.count)
            ).solve([tiny.vector])
        }
        let solved = try solve(2_000)
        #expect(solved.vectors[0].distance(from: exact) < 1e-3)
        #expect(solved.cost.iterations == 2_000)
        // Those of the search for the step are counted as well.
        #expect(solved.cost.sequences > 2_000 * tiny.matrix.count)
        #expect(try solve(200).vectors[0].distance(from: exact) > 1e-2, "it takes that many")
    }

    @Test(
        "by ASTRA are (G + λI)⁻¹ v once it has converged",
        arguments: [(TinyCurvature.Kind.small, 1_000), (.gated, 2_500)])
    func astra(kind: TinyCurvature.Kind, iterations: Int) throws {
        let tiny = try TinyCurvature.cached(kind)
        let exact = try tiny.exact(damping: tiny.damping)
        let solved = try NeumannIteration.astra(
            tiny.matrix, factors: tiny.factors, .init(iterations: iterations, batchSize: tiny.matrix.count)
        ).solve([tiny.vector])
        #expect(solved.vectors[0].distance(from: exact) < 1e-3)
        #expect(solved.cost.iterations == iterations)
    }

    @Test("by ASTRA on batches come nearer to it than EK-FAC, with which it begins")
    func stochastic() throws {
        let tiny = try TinyCurvature.cached(.gated)
        let exact = try tiny.exact(damping: tiny.damping)
        func distance(_ iterations: Int) throws -> Double {
            try NeumannIteration.astra(
                tiny.matrix, factors: tiny.factors, .init(iterations: iterations, batchSize: 12, seed: 4)
            ).solve([tiny.vector]).vectors[0].distance(from: exact)
        }
        let start = try KroneckerInverse(corrected: tiny.factors).solve([tiny.vector]).vectors[0]
        #expect(try distance(0) == start.distance(from: exact))
        #expect(try distance(60) < 0.7 * start.distance(from: exact))
    }

    /// How far each approximation was found to be from `(G + λI)⁻¹ v`, and the cosine of the angle between the two, at the usual
    /// damping. The exact inverse of each layer's own block, which none of the others can be expected to surpass, is no nearer:
    /// in models this small and random most of the distance is what lies between layers.
    static let found: [(kind: TinyCurvature.Kind, distances: [String: (distance: Double, cosine: Double)])] = [
        (
            .gated,
            [
                "blocks": (0.678, 0.737), "ekfac": (0.746, 0.679), "kfac": (0.763, 0.652), "diagonal": (0.765, 0.656),
                "identity": (0.907, 0.503),
            ]
        ),
        (
            .biased,
            [
                "blocks": (0.615, 0.794), "ekfac": (0.753, 0.665), "kfac": (0.774, 0.664), "diagonal": (0.844, 0.607),
                "identity": (1.031, 0.261),
            ]
        ),
    ]

    @Test("by the approximations are as far from it as they were found to be", arguments: found)
    func approximations(
        kind: TinyCurvature.Kind, distances: [String: (distance: Double, cosine: Double)]
    ) throws {
        let tiny = try TinyCurvature.cached(kind)
        let exact = try tiny.exact(damping: tiny.damping)
        let solved: [String: ParameterVector] = [
            "blocks": try tiny.exact(damping: tiny.damping, blocksAlone: true),
            "ekfac": try KroneckerInverse(corrected: tiny.factors).solve([tiny.vector]).vectors[0],
            "kfac": try KroneckerInverse(uncorrected: tiny.factors).solve([tiny.vector]).vectors[0],
            "diagonal": try DiagonalInverse(of: tiny.matrix, damping: tiny.damping).solve([tiny.vector]).vectors[0],
            "identity": try IdentityInverse().solve([tiny.vector]).vectors[0],
        ]
        for (name, expected) in distances {
            let vector = try #require(solved[name])
            #expect(abs(vector.distance(from: exact) - expected.distance) < 0.02, "\(name)")
            #expect(abs(vector.cosine(to: exact) - expected.cosine) < 0.02, "\(name)")
        }
    }

    @Test("of several vectors are those of each alone")
    func together() throws {
        let tiny = try TinyCurvature.cached(.gated)
        let other = ParameterVector(normalOf: tiny.matrix.tracked, seed: 2)
        let estimators: [any InverseCurvature] = [
            ConjugateGradients(tiny.matrix, damping: tiny.damping, iterations: 20),
            NeumannIteration.astra(
                tiny.matrix, factors: tiny.factors, .init(iterations: 6, batchSize: 8, step: 0.05, seed: 1)),
        ]
        for estimator in estimators {
            let both = try estimator.solve([tiny.vector, other])
            for (vector, found) in zip([tiny.vector, other], both.vectors) {
                #expect(found.distance(from: try estimator.solve([vector]).vectors[0]) < 1e-4)
            }
        }
    }

    @Test("end when they are cancelled, and tell how far they are before")
    func cancellation() throws {
        let tiny = try TinyCurvature.cached(.gated)
        let reported = Mutex<[Int]>([])
        var control = WorkControl<WorkProgress>()
        control.progress = { progress in reported.withLock { $0.append(progress.done) } }
        control.step = { if reported.withLock({ $0.last == 3 }) { throw CancellationError() } }
        let estimators: [any InverseCurvature] = [
            ConjugateGradients(tiny.matrix, damping: tiny.damping),
            NeumannIteration.lissa(tiny.matrix, damping: tiny.damping, .init(iterations: 50, batchSize: 8)),
        ]
        for estimator in estimators {
            reported.withLock { $0 = [] }
            #expect(throws: CancellationError.self) { try estimator.solve([tiny.vector], control: control) }
            #expect(reported.withLock { $0 } == [0, 1, 2, 3])
        }
    }

    @Test("by iteration make a step that is too long shorter, and give up where none is short enough")
    func divergence() throws {
        let tiny = try TinyCurvature.cached(.gated)
        func solve(step: Double) throws -> InverseProducts {
            try NeumannIteration.lissa(
                tiny.matrix, damping: tiny.damping,
                .init(iterations: 60, batchSize: tiny.matrix.count, step: step)
            ).solve([tiny.vector])
        }
        let shortened = try solve(step: 0.5)
        #expect(try #require(shortened.cost.step) < 0.5)
        #expect(shortened.cost.iterations > 60)
        #expect(throws: SolveError.self) { try solve(step: 1e6) }
    }
}
