import LinearAlgebra
import Transformer

extension ProximalBregmanResponse {
    /// What is minimised, divided by the weight ε: then its gradient at the trained parameters is that of the sequence's loss, of
    /// which size is known whatever the weight.
    struct Objective {
        private let response: ProximalBregmanResponse
        private let sequence: TokenBatch
        private var order: SequenceOrder
        private var workspace = DecoderWorkspace()
        private var baseWorkspace = DecoderWorkspace()
        private var tap: GradientSumTap
        private(set) var cost = SolveCost()

        /// Batches over which the gradient at the end is averaged.
        private static let lastBatches = 8

        init(_ response: ProximalBregmanResponse, sequence: [Int32], key: UInt64) {
            self.response = response
            var batch = TokenBatch()
            batch.append(sequence)
            self.sequence = batch
            order = SequenceOrder(
                count: response.matrix.count, batchSize: response.options.batchSize,
                seed: response.options.seed &+ key)
            tap = GradientSumTap(response.matrix.tracked)
        }

        /// The gradient with the divergence over the next batch.
        ///
        /// - Parameter displacement: nil for none: the divergence, whose gradient is zero there, is left out.
        mutating func gradient(at displacement: ParameterVector?, _ control: SolveControl) throws -> ParameterVector {
            let matrix = response.matrix
            tap.sum.reset()
            var decoder = matrix.decoder
            if let displacement {
                // Begun from the trained parameters each time: steps added one to another would each be rounded to
                // the parameters' own last bit.
                decoder.displace(along: displacement, tracked: matrix.tracked, by: 1)
                let chosen = order.next()
                for batch in try matrix.batches(of: chosen, labels: { _ in .nextTokens }) {
                    try control.step()
                    decoder.runDivergence(
                        batch, from: matrix.decoder, in: &workspace, &baseWorkspace, tracked: matrix.tracked,
                        tap: &tap)
                    cost.add(GaussNewtonMatrix.Work(sequences: batch.sequences.count, tokens: batch.tokens.count))
                }
                tap.sum.scale(by: 1 / Double(chosen.count))
                tap.sum.add(displacement, scaledBy: response.damping)
                tap.sum.scale(by: 1 / response.options.weight)
            }
            try control.step()
            decoder.run(sequence, in: &workspace, tracked: matrix.tracked, tap: &tap)
            return tap.sum
        }

        /// The gradient with the divergence over several batches, or over all sequences where each batch has them all.
        mutating func meanGradient(at displacement: ParameterVector, _ control: SolveControl) throws -> ParameterVector
        {
            var mean = try gradient(at: displacement, control)
            if order.isComplete { return mean }
            for _ in 1..<Self.lastBatches { mean.add(try gradient(at: displacement, control)) }
            mean.scale(by: 1 / Double(Self.lastBatches))
            return mean
        }
    }
}
