import Curvature
import Files
import Foundation
import LinearAlgebra
import Transformer

extension NeumannIteration.Options {
    /// ASTRA as queries have it.
    public static let forQueries = NeumannIteration.Options(iterations: 48, batchSize: 32, seed: 0)
}

extension InfluenceEngine {
    /// The curvature of the model's loss on the corpus as it was when it had so many sequences.
    func curvature(asOf corpusSequences: Int) throws -> GaussNewtonMatrix {
        let corpus = corpus
        let rowids = try corpus.rowids(asOf: corpusSequences)
        let source = FactorFit.Source(count: rowids.count, digest: try corpus.digest()) { range in
            try corpus.tokens(rowids: Array(rowids[range]))
        }
        return GaussNewtonMatrix(
            decoder: decoder, tracked: factors.tracked, source: source, workers: workers, batchTokens: batchTokens)
    }

    /// A query's gradient times the inverse curvature, where its estimator is one that iterates.
    ///
    /// Each query is solved alone, so that its scores do not depend on the company that it is answered in.
    func solve(
        _ gradient: inout QueryGradient, for query: InfluenceQuery, with curvature: GaussNewtonMatrix,
        control: WorkControl<WorkProgress>
    ) throws -> InfluenceResult.Method {
        var method = InfluenceResult.Method(estimator: query.estimator)
        guard query.estimator == .astra else { return method }
        let astra = NeumannIteration.astra(curvature, factors: factors, damping: query.damping, astra)
        let solved = try astra.solve([gradient.whole], control: control)
        gradient.solution = solved.vectors[0]
        let cost = solved.cost
        method.iterations = cost.iterations
        method.sequences = cost.sequences
        method.tokens = cost.tokens
        method.seconds = cost.seconds
        method.step = cost.step
        method.residual = cost.residual
        return method
    }
}

extension InfluenceQuery.Estimator {
    /// Roughly how many sequences' sweep a query's inverse product costs.
    public func sequences(ofCorpus count: Int) -> Int {
        let options = NeumannIteration.Options.forQueries
        // A product is a forward, a tangent and a backward pass, where scoring is a forward and half a backward pass.
        return self == .astra ? 2 * options.iterations * min(options.batchSize, count) : 0
    }
}

extension ContentDigest {
    /// Takes an estimator, and all that its result depends on beside the query, the model and the factors.
    mutating func update(
        _ estimator: InfluenceQuery.Estimator, _ options: NeumannIteration.Options, corpusSequences: Int
    ) {
        update(counted: estimator.rawValue)
        guard estimator == .astra else { return }
        for number in [options.iterations, options.batchSize, corpusSequences] { update(UInt64(number)) }
        update(options.seed)
        update(options.step?.bitPattern ?? 0)
    }
}
