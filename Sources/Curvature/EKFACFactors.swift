import LinearAlgebra
import Transformer

/// One layer's eigenvalue-corrected Kronecker factors (George et al. 2018; Grosse et al. 2023, section 2.2.2).
///
/// They approximate the curvature of the layer's weights by `(Qs ⊗ Qa) diag(Λ) (Qs ⊗ Qa)ᵀ`.
public struct LayerFactors: Sendable {
    /// `Qa`: in × in, the eigenvectors of the activations' covariance, or of its diagonal blocks, in columns, with eigenvalues ascending.
    public var activationVectors: BlockDiagonal
    /// `Qs`: out × out, the eigenvectors of the output gradients' covariance.
    public var gradientVectors: BlockDiagonal
    /// Eigenvalues of the mean over tokens of `a aᵀ`, ascending within each block.
    public var activationValues: [Double]
    /// Eigenvalues of the mean over tokens of `d dᵀ`, ascending within each block.
    public var gradientValues: [Double]
    /// `Λ`: out × in, the mean over sequences of `((D Qs)ᵀ (A Qa))²`, element by element.
    public var eigenvalues: Matrix {
        didSet { defaultDamping = Self.defaultDamping(eigenvalues) }
    }

    /// The tokens of the fit that went through the layer, if it belongs to an expert and the number is known. nil otherwise: all tokens
    /// go through other layers.
    public var tokens: Int?

    /// The damping `λ` that is used unless another is given: 0.1 times the mean of `Λ`. Zero for a layer without curvature.
    public private(set) var defaultDamping: Double

    /// Whether any gradient of the fit reached the layer, as far as Float32 can tell. If `Λ` is zero throughout, the default damping is
    /// zero as well, and nothing is left to divide by. Such a layer has no influence: `(Λ + λ)⁻¹` counts as zero whatever damping is given.
    public var hasCurvature: Bool { Float(defaultDamping) > 0 }

    public init(
        activationVectors: BlockDiagonal, gradientVectors: BlockDiagonal, activationValues: [Double],
        gradientValues: [Double], eigenvalues: Matrix
    ) {
        self.activationVectors = activationVectors
        self.gradientVectors = gradientVectors
        self.activationValues = activationValues
        self.gradientValues = gradientValues
        self.eigenvalues = eigenvalues
        defaultDamping = Self.defaultDamping(eigenvalues)
    }

    private static func defaultDamping(_ eigenvalues: Matrix) -> Double {
        let sum = eigenvalues.withSpan { span in span.indices.reduce(0.0) { $0 + Double(span[$1]) } }
        return 0.1 * sum / Double(max(eigenvalues.count, 1))
    }

    /// A matrix of zeros, out × in, for a layer without influence.
    public var zero: Matrix { Matrix(rows: eigenvalues.rows, columns: eigenvalues.columns) }

    /// Rotates a matrix from the eigenbasis back into the layer's own coordinates: `Qs M Qaᵀ`, out × in.
    public func unrotated(_ matrix: Matrix) -> Matrix {
        var half = Matrix()
        half.formProduct(gradientVectors, matrix.slice)
        var whole = Matrix()
        whole.formProduct(half.slice, activationVectors, transposed: true)
        return whole
    }
}

/// The fitted factors of every tracked layer of a model.
public struct EKFACFactors: Sendable {
    public let tracked: TrackedLayers
    /// In the order of `tracked.layers`. Layers that read the same inputs share one `Qa` in memory.
    public let layers: [LayerFactors]
    public let provenance: FactorProvenance

    public init(tracked: TrackedLayers, layers: [LayerFactors], provenance: FactorProvenance) {
        precondition(
            tracked.layers.count == layers.count,
            "\(layers.count) sets of factors for \(tracked.layers.count) tracked layers")
        self.tracked = tracked
        self.layers = layers
        self.provenance = provenance
    }

    /// The names of the layers without curvature, which no gradient of the fit reached: ``LayerFactors/hasCurvature``.
    public var layersWithoutCurvature: [String] {
        zip(tracked.layers, layers).filter { !$1.hasCurvature }.map(\.0.name)
    }

    /// What makes scores with these factors doubtful, in sentences.
    public var warnings: [String] { [tooFewTokens, tooFewTokensOfExperts, withoutCurvature].compactMap { $0 } }

    /// A covariance of n rows that fewer than n tokens add to is singular.
    private var tooFewTokens: String? {
        guard let tokens = provenance.tokens,
            let widest = tracked.layers.filter({ $0.expert == nil }).max(by: { $0.inputs < $1.inputs }),
            tokens < widest.inputs
        else { return nil }
        return
            "the factors were fitted on \(tokens) tokens, and \(widest.name) has \(widest.inputs) inputs: only the damping limits "
            + "influence along directions that no token of the fit reached, so that scores can change much with more sequences; "
            + "fit on more of them"
    }

    /// The use of an expert in a fit.
    public struct ExpertUse: Sendable, Equatable, CustomStringConvertible {
        /// The module's name.
        public let name: String
        /// The tokens of the fit that went to the expert.
        public let tokens: Int
        /// The most inputs of a layer of the expert.
        public fileprivate(set) var inputs: Int

        public var description: String { "\(name) (\(tokens == 0 ? "none" : "\(tokens)") for \(inputs) inputs)" }
    }

    /// The experts that saw fewer tokens in the fit than a layer of theirs has inputs, those with the fewest tokens first.
    public var rarelyUsedExperts: [ExpertUse] {
        let few = experts.filter { $0.tokens < $0.inputs }
        return few.enumerated().sorted { ($0.element.tokens, $0.offset) < ($1.element.tokens, $1.offset) }.map(
            \.element)
    }

    /// The experts whose layers are tracked, as far as their tokens are known.
    private var experts: [ExpertUse] {
        var experts: [ExpertUse] = []
        for (layer, factors) in zip(tracked.layers, layers) {
            guard let expert = layer.expert, let tokens = factors.tokens else { continue }
            if let last = experts.last, last.name == expert.name {
                experts[experts.count - 1].inputs = max(last.inputs, layer.inputs)
            } else {
                experts.append(ExpertUse(name: expert.name, tokens: tokens, inputs: layer.inputs))
            }
        }
        return experts
    }

    private var tooFewTokensOfExperts: String? {
        let few = rarelyUsedExperts
        guard !few.isEmpty else { return nil }
        return
            "of \(experts.count) experts, \(few.count) saw fewer tokens in the fit than they have inputs: "
            + "\(Self.listed(few.map(\.description))); only the damping limits influence through their other directions, and nothing "
            + "has influence through an expert that saw none; fit on more sequences"
    }

    /// The most names in a warning.
    public static let namesInWarning = 8

    /// The first names, and the number of the others.
    private static func listed(_ names: [String]) -> String {
        let others = names.count - namesInWarning
        return names.prefix(namesInWarning).joined(separator: ", ") + (others > 0 ? " and \(others) others" : "")
    }

    /// Layers of experts that saw no tokens have a warning of their own.
    private var withoutCurvature: String? {
        let unseen = Set(zip(tracked.layers, layers).filter { $1.tokens == 0 }.map(\.0.name))
        let names = layersWithoutCurvature.filter { !unseen.contains($0) }
        guard !names.isEmpty else { return nil }
        return "the curvature of \(names.count) of \(layers.count) layers is zero, as no gradient reaches them: "
            + "nothing has influence through \(Self.listed(names))"
    }

    /// Bytes of all factors in memory. An activation basis that several layers share counts once.
    public var byteCount: Int {
        zip(tracked.layers, layers).reduce(0) { sum, entry in
            let (layer, factors) = entry
            let activation = layer.inputOwner == layer.index ? factors.activationVectors.byteCount : 0
            return sum + activation + factors.gradientVectors.byteCount + factors.eigenvalues.byteCount
        }
    }
}

/// Where factors come from.
public struct FactorProvenance: Sendable, Equatable, Codable {
    /// The labels from which the fit took its gradients.
    public enum Fisher: String, Sendable, Codable, CaseIterable {
        /// Labels drawn from the model's own output distribution: the true Fisher.
        case sampled
        /// The sequences' own next tokens.
        case empirical
    }

    public var fisher: Fisher
    /// The model's digest; nil if another program fitted the factors.
    public var model: String?
    /// The corpus's digest.
    public var corpus: String?
    /// How many sequences the factors were fitted on.
    public var sequences: Int
    public var tokens: Int?
    /// The seed of sampled labels.
    public var seed: UInt64?
    /// The most rows of the blocks into which larger covariances were split; nil if all are whole.
    public var largestBlock: Int?
    /// The program that fitted the factors, and its version.
    public var program: String
}

extension FactorProvenance {
    private enum CodingKeys: String, CodingKey {
        case fisher, model, corpus, sequences, tokens, seed
        case largestBlock = "largest_block"
        case program
    }

    /// The keys of earlier versions.
    private enum EarlierCodingKeys: CodingKey { case largestBlock }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let earlier = try decoder.container(keyedBy: EarlierCodingKeys.self)
        fisher = try values.decode(Fisher.self, forKey: .fisher)
        model = try values.decodeIfPresent(String.self, forKey: .model)
        corpus = try values.decodeIfPresent(String.self, forKey: .corpus)
        sequences = try values.decode(Int.self, forKey: .sequences)
        tokens = try values.decodeIfPresent(Int.self, forKey: .tokens)
        seed = try values.decodeIfPresent(UInt64.self, forKey: .seed)
        largestBlock =
            try values.decodeIfPresent(Int.self, forKey: .largestBlock)
            ?? earlier.decodeIfPresent(Int.self, forKey: .largestBlock)
        program = try values.decode(String.self, forKey: .program)
    }
}
