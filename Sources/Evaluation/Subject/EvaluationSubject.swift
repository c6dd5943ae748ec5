import Attribution
import Corpus
import Curvature
import LinearAlgebra
import Transformer

/// What an evaluation is about: a model, its factors, and the corpus that it was trained on.
public struct EvaluationSubject: Sendable {
    /// What the model is called in reports.
    public let name: String
    public let checkpoint: Checkpoint
    public let factors: EKFACFactors
    public let corpus: CorpusStore
    public let workers: Workers
    /// Every sequence of the corpus, in ascending order. Evaluations name a sequence by its place here.
    public let rowids: [Int64]
    public let corpusDigest: String

    static let leastSequences = 10

    /// - Throws: ``EvaluationError/tooFewSequences(found:)``, or what reading the corpus threw.
    public init(
        name: String, checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore, workers: Workers = Workers()
    ) throws {
        self.name = name
        self.checkpoint = checkpoint
        self.factors = factors
        self.corpus = corpus
        self.workers = workers
        rowids = try corpus.rowids()
        corpusDigest = try corpus.digest()
        guard rowids.count >= Self.leastSequences else {
            throw EvaluationError.tooFewSequences(found: rowids.count)
        }
    }

    var decoder: DecoderModel { checkpoint.decoder }
    var tracked: TrackedLayers { factors.tracked }

    /// The tokens of some sequences, in the order of their places.
    func tokens(_ places: [Int]) throws -> [[Int32]] { try corpus.tokens(rowids: places.map { rowids[$0] }) }

    /// All sequences as a fit and the curvature read them.
    var source: FactorFit.Source {
        let (corpus, rowids) = (corpus, rowids)
        return FactorFit.Source(count: rowids.count, digest: corpusDigest) { range in
            try corpus.tokens(rowids: Array(rowids[range]))
        }
    }

    /// The Gauss-Newton matrix of the model on the whole corpus.
    var curvature: GaussNewtonMatrix {
        GaussNewtonMatrix(decoder: decoder, tracked: tracked, source: source, workers: workers)
    }

    /// At most so many of the sequences, evenly spread, by their place.
    func spread(_ count: Int) -> [Int] {
        let kept = min(count, rowids.count)
        return (0..<kept).map { $0 * rowids.count / kept }
    }
}
