import LinearAlgebra
import Testing

@testable import Transformer

@Suite("The tracked layers")
struct TrackedLayersTests {
    static let selections: [LayerSelection] = [.feedForward, .attention, .all]

    @Test(
        "get the gradients that autograd gives them, and no others do", arguments: ModelFixture.all, Self.selections)
    func gradients(fixture: ModelFixture, selection: LayerSelection) throws {
        let decoder = try fixture.decoder()
        let expected = try fixture.expected()
        var batch = TokenBatch()
        for sequence in try fixture.sequences() { batch.append(sequence) }
        var tap = WeightGradients()
        var workspace = DecoderWorkspace()
        decoder.run(batch, in: &workspace, tracked: TrackedLayers(of: decoder, selection), tap: &tap)
        #expect(Set(tap.gradients.keys) == Set(layers(of: decoder, selection)))
        #expect(tap.finished == 1)

        var gradient = decoder
        gradient.updateParameters { name, parameter in
            if let value = tap.gradients[name] { parameter = value }
        }
        var compared = 0
        for parameter in try gradient.namedParameters() {
            let module = parameter.name.split(separator: ".").dropLast().joined(separator: ".")
            guard tap.gradients[module] != nil else { continue }
            let name = "gradients." + parameter.name
            let stored = expected.tensors[name] == nil ? name.replacing("transformer.", with: "") : name
            let reference = try expected.doubles(named: stored)
            let largest = reference.map(abs).max() ?? 0
            let worst = zip(parameter.values.elements, reference).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(worst < 1e-3 * largest, "\(parameter.name)")
            compared += 1
        }
        #expect(compared >= tap.gradients.count)
    }

    private func layers(of decoder: DecoderModel, _ selection: LayerSelection) -> [String] {
        decoder.blocks.flatMap { block -> [String] in
            let attention = block.attention.inputs + [block.attention.output]
            return (selection.contains(.attention) ? attention.map(\.name) : [])
                + (selection.contains(.feedForward) ? block.feedForwards.flatMap(\.layers).map(\.name) : [])
        }
    }

    @Test(
        "name as their inputs' owner one that reads the very same inputs", arguments: ModelFixture.all, Self.selections)
    func inputOwners(fixture: ModelFixture, selection: LayerSelection) throws {
        let decoder = try fixture.decoder()
        expectInputOwners(of: TrackedLayers(of: decoder, selection), in: decoder, try fixture.sequences())
    }

    @Test("of an expert get the rows of the tokens that go to it, and its sequences", arguments: ModelFixture.mixtures)
    func routedRows(name: String) throws {
        let fixture = ModelFixture(name: name)
        let decoder = try fixture.decoder()
        let sequences = try fixture.sequences()
        var batch = TokenBatch()
        for sequence in sequences { batch.append(sequence) }
        var tap = Routes()
        var workspace = DecoderWorkspace()
        decoder.run(batch, in: &workspace, tracked: TrackedLayers(of: decoder), tap: &tap)
        for (index, block) in decoder.blocks.enumerated() {
            guard let mixture = block.experts else { continue }
            let routes = tap.passes.filter { $0.layer.name.hasPrefix("model.layers.\(index).") }
            let experts = routes.filter {
                $0.layer.expert != nil && $0.layer.name.hasSuffix(name == "mixtral" ? "w2" : "down_proj")
            }
            #expect(experts.reduce(0) { $0 + ($1.positions?.count ?? 0) } == mixture.perToken * batch.tokens.count)
            for route in experts {
                let positions = try #require(route.positions)
                #expect(positions == Array(Set(positions)).sorted() && route.rows == positions.count)
                for (rows, range) in zip(route.sequences, batch.sequences) {
                    #expect(Array(positions[rows]) == positions.filter(range.contains))
                }
            }
            #expect(
                routes.filter { $0.layer.expert == nil }.allSatisfy {
                    $0.positions == nil && $0.rows == batch.tokens.count
                })
        }
        #expect(tap.passes.contains { $0.layer.expert != nil })
        #expect(tap.passes.contains { $0.layer.name.contains("shared") } == (name == "qwen2-moe"))
    }

    @Test("of a fused layer that goes head by head keep the order of rows in which the weight is stored")
    func storedOrder() throws {
        let decoder = try ModelFixture(name: "gpt-neox").decoder()
        let file = try SafetensorsFile(path: ModelFixture.folder("gpt-neox") + "/model.safetensors")
        let name = "gpt_neox.layers.1.attention.query_key_value"
        let layer = try #require(decoder.blocks[1].attention.inputs.first)
        #expect(layer.name == name)
        let stored = try file.matrix(named: name + ".weight", rows: 36, columns: 12)
        #expect(Matrix(layer.weight[columns: 0..<12]) == stored)
    }
}

/// `Σ Dᵀ A` of each tracked layer.
private struct WeightGradients: GradientTap {
    var gradients: [String: Matrix] = [:]
    var finished = 0

    mutating func record(_ pass: LayerPass) {
        var gradient = Matrix()
        gradient.formProduct(pass.outputGradients.transposed, pass.inputs)
        gradients[pass.layer.name] = gradient
    }

    mutating func finish(_ batch: TokenBatch) { finished += 1 }
}

/// Expects each layer's inputs' owner to be the first layer that reads the very same inputs.
func expectInputOwners(
    of tracked: TrackedLayers, in decoder: DecoderModel, _ sequences: [[Int32]],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    var batch = TokenBatch()
    for sequence in sequences { batch.append(sequence) }
    var tap = Inputs()
    var workspace = DecoderWorkspace()
    decoder.run(batch, in: &workspace, tracked: tracked, tap: &tap)
    for layer in tracked.layers {
        #expect(
            tap.inputs[layer.index] == tap.inputs[layer.inputOwner], "\(layer.name)", sourceLocation: sourceLocation)
        let first = tracked.layers.first { tap.inputs[$0.index] == tap.inputs[layer.index] }
        #expect(first?.index == layer.inputOwner, "\(layer.name)", sourceLocation: sourceLocation)
    }
}

/// The tokens that go through each layer.
private struct Routes: GradientTap {
    struct Route {
        let layer: TrackedLayer
        let rows: Int
        let positions: [Int]?
        let sequences: [Range<Int>]
    }

    var passes: [Route] = []

    mutating func record(_ pass: LayerPass) {
        passes.append(
            Route(
                layer: pass.layer, rows: pass.inputs.rows, positions: pass.positions, sequences: pass.sequences))
    }
}

/// What each tracked layer reads.
private struct Inputs: GradientTap {
    var inputs: [Int: Matrix] = [:]

    mutating func record(_ pass: LayerPass) { inputs[pass.layer.index] = Matrix(pass.inputs) }
}

extension LayerSelection: CustomTestStringConvertible {
    public var testDescription: String {
        switch self {
        case .feedForward: "mlp"
        case .attention: "attention"
        default: "all"
        }
    }
}
