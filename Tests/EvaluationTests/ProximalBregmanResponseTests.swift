import LinearAlgebra
import Sequences
import Synchronization
import Testing

@testable import Curvature
@testable import Evaluation
@testable import Transformer

@Suite("The proximal Bregman response")
struct ProximalBregmanResponseTests {
    /// A weight at which the response is all but linear in it: with ten times as much it is not.
    private static let smallWeight = 5e-5

    private func response(
        _ tiny: TinyCurvature, weight: Double = smallWeight, iterations: Int = 100, tolerance: Double = 1e-3,
        heldSequences: Int? = nil
    ) -> ProximalBregmanResponse {
        ProximalBregmanResponse(
            tiny.matrix, factors: tiny.factors,
            .init(weight: weight, iterations: iterations, tolerance: tolerance, heldSequences: heldSequences))
    }

    /// `(θ(ε) - θ_base) / -ε`, which is `(G + λI)⁻¹ v` to first order.
    private func solution(_ response: ProximalBregmanResponse, to sequence: TrainingSequence) throws -> ParameterVector
    {
        var displacement = try response.response(to: sequence).displacement
        displacement.scale(by: -1 / response.options.weight)
        return displacement
    }

    @Test("of a small weight is -ε (G + λI)⁻¹ ∇L(z)", arguments: TinyCurvature.Kind.allCases)
    func dense(kind: TinyCurvature.Kind) throws {
        let tiny = try TinyCurvature.cached(kind)
        let exact = try tiny.exact(damping: tiny.damping)
        for weight in [Self.smallWeight, -Self.smallWeight] {
            let found = try solution(response(tiny, weight: weight), to: tiny.sequence)
            #expect(found.distance(from: exact) < 0.02, "\(weight)")
        }
    }

    @Test(
        "changes log-probabilities by ε times the influence, with its sign", arguments: TinyCurvature.Kind.allCases)
    func measurements(kind: TinyCurvature.Kind) throws {
        let tiny = try TinyCurvature.cached(kind)
        let exact = try tiny.exact(damping: tiny.damping)
        let response = response(tiny)
        let moved = response.model(after: try response.response(to: tiny.sequence))
        var workspace = DecoderWorkspace()
        var (errors, squares) = (0.0, 0.0)
        for sequence in [tiny.sequence] + (try tiny.matrix.source.sequences(0..<6)) {
            var batch = TokenBatch()
            batch.append(sequence)
            var tap = GradientSumTap(tiny.matrix.tracked)
            let before = tiny.matrix.decoder.run(
                batch, in: &workspace, tracked: tiny.matrix.tracked, tap: &tap)
            let after = moved.losses(of: batch, in: &workspace)
            let rows = 0..<sequence.count
            let found = (before.sum(over: rows) - after.sum(over: rows)) / response.options.weight
            // ∇fᵀ (G + λI)⁻¹ ∇log p(z), each of the two gradients being minus that of a loss.
            let influence = tap.sum.dot(exact)
            if sequence == tiny.sequence {
                #expect(influence > 0 && found > 0, "more weight on a sequence makes it likelier")
            }
            errors += (found - influence) * (found - influence)
            squares += influence * influence
        }
        #expect(errors.squareRoot() < 0.02 * squares.squareRoot(), "\((errors / squares).squareRoot())")
    }

    @Test("of a larger weight departs from the linear answer, in proportion to it")
    func largerWeight() throws {
        let tiny = try TinyCurvature.cached(.small)
        let exact = try tiny.exact(damping: tiny.damping)
        let distances = try [1e-4, 1e-3].map {
            try solution(response(tiny, weight: $0), to: tiny.sequence).distance(from: exact)
        }
        #expect(distances[0] > 0.01)
        #expect(distances[1] > 5 * distances[0] && distances[1] < 15 * distances[0], "\(distances)")
    }

    @Test("says how far it is from its minimum")
    func residual() throws {
        let tiny = try TinyCurvature.cached(.small)
        let early = try response(tiny, weight: 1e-3, iterations: 3).response(to: tiny.sequence)
        let late = try response(tiny, weight: 1e-3).response(to: tiny.sequence)
        #expect(late.residual < 1e-3)
        #expect(early.residual > 10 * late.residual, "\(early.residual)")
        #expect(early.cost.iterations == 3 && late.cost.iterations < 100)
        // A gradient a step at least, each over all sequences.
        #expect(late.cost.sequences >= late.cost.iterations * tiny.matrix.count)
        #expect(late.cost.sequences.isMultiple(of: tiny.matrix.count))
    }

    @Test("holds the model to its outputs on some sequences alone when told to")
    func held() throws {
        let tiny = try TinyCurvature.cached(.gated)
        let chosen = (0..<6).map { $0 * tiny.matrix.count / 6 }
        let source = tiny.matrix.source
        let fewer = GaussNewtonMatrix(
            decoder: tiny.matrix.decoder, tracked: tiny.matrix.tracked,
            source: FactorFit.Source(count: 6, digest: "fewer") { range in
                try range.map { try source.sequences(chosen[$0]..<chosen[$0] + 1)[0] }
            }, batchTokens: 512)
        let alone = ProximalBregmanResponse(
            fewer, factors: tiny.factors, .init(weight: Self.smallWeight, tolerance: 1e-3))
        let some = response(tiny, heldSequences: 6)
        let found = try solution(some, to: tiny.sequence)
        #expect(found.distance(from: try solution(alone, to: tiny.sequence)) < 1e-3)
        #expect(found.distance(from: try solution(response(tiny), to: tiny.sequence)) > 0.05)
        #expect(try response(tiny, heldSequences: 1_000).response(to: tiny.sequence).cost.sequences > 0)
    }

    @Test("is the same on any thread")
    func reproducible() throws {
        let tiny = try TinyCurvature.cached(.small)
        @Sendable func found() throws -> ParameterVector {
            try response(tiny, iterations: 20).response(to: tiny.sequence).displacement
        }
        let first = try found()
        #expect(try Workers(count: 3).run { _ in try found() } == [first, first, first])
    }

    @Test("ends when it is cancelled, and is refused for a sequence without a loss")
    func endings() throws {
        let tiny = try TinyCurvature.cached(.small)
        let reported = Mutex<[Int]>([])
        var control = WorkControl<WorkProgress>()
        control.progress = { progress in reported.withLock { $0.append(progress.done) } }
        control.step = { if reported.withLock({ $0.last == 3 }) { throw CancellationError() } }
        #expect(throws: CancellationError.self) {
            try response(tiny, tolerance: 1e-9).response(to: tiny.sequence, control: control)
        }
        #expect(reported.withLock { $0 } == [0, 1, 2, 3])
        #expect(throws: SolveError.withoutGradient) { try response(tiny).response(to: [5]) }
        #expect(throws: SolveError.notFinite) {
            try response(tiny, weight: .infinity).response(to: tiny.sequence)
        }
    }
}
