import LinearAlgebra

/// The names of parameters that are neither a linear layer's, which has its own name, nor a norm's.
enum ParameterName {
    static let tokenEmbedding = "token embedding"
    static let positionEmbedding = "position embedding"
    static let head = "head"
    static let headBias = "head bias"
}

extension DecoderModel {
    /// Calls the body for every parameter, which it can change.
    ///
    /// Linear layers include their bias as the last column; a tied head counts once, as the token embedding.
    mutating func updateParameters(_ body: (_ name: String, _ parameter: inout Matrix) -> Void) {
        func update(_ norm: inout Normalization) {
            guard norm.kind.hasGain else { return }
            body(norm.name + ".gain", &norm.gain)
            if var bias = norm.bias.take() {
                body(norm.name + ".bias", &bias)
                norm.bias = bias
            }
        }
        func update(_ optional: inout Normalization?) {
            guard var norm = optional.take() else { return }
            update(&norm)
            optional = norm
        }
        func update(_ optional: inout QueryKeyNormalization?) {
            guard var queryKeyNorm = optional.take() else { return }
            update(&queryKeyNorm.norm)
            optional = queryKeyNorm
        }
        body(ParameterName.tokenEmbedding, &tokenEmbedding)
        if var positions = positionEmbedding.take() {
            body(ParameterName.positionEmbedding, &positions)
            positionEmbedding = positions
        }
        for index in blocks.indices {
            update(&blocks[index].attentionNorm)
            for input in blocks[index].attention.inputs.indices {
                body(blocks[index].attention.inputs[input].name, &blocks[index].attention.inputs[input].weight)
            }
            update(&blocks[index].attention.queryNorm)
            update(&blocks[index].attention.keyNorm)
            body(blocks[index].attention.output.name, &blocks[index].attention.output.weight)
            update(&blocks[index].attentionOutputNorm)
            update(&blocks[index].feedForwardNorm)
            if var experts = blocks[index].experts.take() {
                body(experts.router.name, &experts.router.weight)
                if var gate = experts.sharedGate.take() {
                    body(gate.name, &gate.weight)
                    experts.sharedGate = gate
                }
                blocks[index].experts = experts
            }
            blocks[index].updateFeedForwards { $0.updateLayers { body($0.name, &$0.weight) } }
            update(&blocks[index].feedForwardOutputNorm)
        }
        update(&finalNorm)
        if var head = untiedHead.take() {
            body(ParameterName.head, &head)
            untiedHead = head
        }
        if var bias = headBias.take() {
            body(ParameterName.headBias, &bias)
            headBias = bias
        }
    }

    /// The number of parameters, a tied head counted once.
    public var parameterCount: Int {
        var count = 0
        var model = self
        model.updateParameters { _, parameter in count += parameter.count }
        return count
    }

    /// The norm of all parameters as one vector.
    public var parameterNorm: Double {
        var squares = 0.0
        var model = self
        model.updateParameters { _, parameter in squares += parameter.squaredNorm }
        return squares.squareRoot()
    }
}
