import LinearAlgebra
import Transformer

extension ProximalBregmanResponse {
    /// The gradient of what is minimised, at `θ_base + ε x`, divided by the weight ε: at `x = 0` it is that of the sequence's loss,
    /// and its derivative there is `G + λI`.
    struct Objective {
        private let response: ProximalBregmanResponse
        private let sequence: TokenBatch
        private let batches: [TokenBatch]
        private var workspace = DecoderWorkspace()
        private var baseWorkspace = DecoderWorkspace()
        private var tap: GradientSumTap
        private(set) var cost = SolveCost()

        init(_ response: ProximalBregmanResponse, sequence: [Int32]) throws {
            self.response = response
            var batch = TokenBatch()
            batch.append(sequence)
            self.sequence = batch
            batches = try response.matrix.batches(of: response.held) { _ in .nextTokens }
            tap = GradientSumTap(response.matrix.tracked)
        }

        /// - Parameter place: `x`.
        mutating func gradient(at place: ParameterVector, _ control: SolveControl) throws -> ParameterVector {
            let matrix = response.matrix
            let weight = response.options.weight
            tap.sum.reset()
            var decoder = matrix.decoder
            if place.squaredNorm > 0 {
                decoder.displace(along: place, tracked: matrix.tracked, by: weight)
                for batch in batches {
                    try control.step()
                    decoder.runDivergence(
                        batch, from: matrix.decoder, in: &workspace, &baseWorkspace, tracked: matrix.tracked,
                        tap: &tap)
                    cost.add(GaussNewtonMatrix.Work(sequences: batch.sequences.count, tokens: batch.tokens.count))
                }
                tap.sum.scale(by: 1 / (weight * Double(response.held.count)))
                tap.sum.add(place, scaledBy: response.damping)
            }
            try control.step()
            decoder.run(sequence, in: &workspace, tracked: matrix.tracked, tap: &tap)
            return tap.sum
        }
    }
}
