import Attribution
import Corpus
import Curvature
import LinearAlgebra
import Transformer

extension Workspace {
    /// The gradient index, if there is one that can be used.
    func openIndex(for checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore) throws -> IndexAvailability {
        do {
            return .ready(
                try GradientIndex(path: indexFile, modelDigest: checkpoint.digest, factors: factors, corpus: corpus))
        } catch GradientIndexError.missing {
            return .missing
        } catch let error as GradientIndexError {
            return .unusable(error)
        }
    }

    /// The engine of all that is open, with the gradient index.
    func makeEngine(
        _ checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore, workers: Workers
    ) throws -> InfluenceEngine {
        InfluenceEngine(
            name: model.name, checkpoint: checkpoint, factors: factors, corpus: corpus,
            index: try openIndex(for: checkpoint, factors: factors, corpus: corpus), workers: workers)
    }
}
