import ArgumentParser
import Attribution
import Foundation
import JSON
import Transformer

/// `tributary logits`: a model's logits for tokens, to compare with other implementations.
struct Logits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a model's logits as JSON.", shouldDisplay: false)

    @Option(help: "A checkpoint folder or a GGUF file.", completion: .file())
    var model: String

    @Option(help: "The folder of a LoRA adapter.", completion: .directory)
    var adapter: String?

    @Option(help: "Token ids, separated by commas; can be given several times.")
    var tokens: [String] = []

    @Option(help: "Text to tokenise; can be given several times.")
    var text: [String] = []

    @Flag(help: "Print the loss of each token but the first, in nats, instead of all logits.")
    var losses = false

    func run() throws {
        let checkpoint = try Checkpoint(folder: model, adapter: adapter)
        var workspace = DecoderWorkspace()
        let given = try tokens.map { list in
            try list.split(separator: ",").map { word in
                guard let token = Int32(word.trimmingCharacters(in: .whitespaces)), token >= 0,
                    Int(token) < checkpoint.decoder.description.vocabulary
                else { throw ValidationError("--tokens: \"\(word)\" is not a token of this model") }
                return token
            }
        }
        for sequence in given + text.map({ checkpoint.tokenizer.encode($0) }) {
            guard sequence.count <= checkpoint.decoder.description.contextLength, !sequence.isEmpty else {
                throw ValidationError(
                    "a sequence has \(sequence.count) tokens; the model reads 1 to "
                        + "\(checkpoint.decoder.description.contextLength)")
            }
            var batch = TokenBatch()
            batch.append(sequence)
            var line = Line(tokens: sequence)
            if losses {
                let found = checkpoint.decoder.losses(of: batch, in: &workspace).losses
                line.losses = batch.lossPositions.map { found[$0] }
            } else {
                let logits = checkpoint.decoder.logits(of: batch, at: Array(sequence.indices), in: &workspace)
                line.logits = sequence.indices.map { row in (0..<logits.columns).map { logits[row, $0] } }
            }
            print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
        }
    }

    private struct Line: Encodable {
        let tokens: [Int32]
        var losses: [Float]?
        var logits: [[Float]]?
    }
}

struct Render: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a result in JSON from standard input as a table.", shouldDisplay: false)

    @OptionGroup var table: TableOptions

    func run() throws {
        let json = try FileHandle.standardInput.readToEnd() ?? Data()
        let table = ResultTable(table)
        for result in try Self.results(json) { print(table.text(of: result)) }
    }

    private static func results(_ json: Data) throws -> [InfluenceResult] {
        let tree = try JSONReader.read([UInt8](json))
        if tree["results"] != nil {
            return try JSONTreeDecoder(tree: tree).decode(ResultList.self).results.compactMap(\.result)
        }
        return [try JSONTreeDecoder(tree: tree).decode(InfluenceResult.self)]
    }

    /// The results of a list; queries that failed have none.
    private struct ResultList: Decodable {
        let results: [Entry]

        struct Entry: Decodable {
            let result: InfluenceResult?

            init(from decoder: any Decoder) throws { result = try? InfluenceResult(from: decoder) }
        }
    }
}

/// `tributary workspace`: the folder of a model's workspace, for scripts.
struct ShowWorkspace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workspace", abstract: "Print the folder of a model's workspace.", shouldDisplay: false)

    @OptionGroup var location: WorkspaceOptions

    func run() throws {
        let (folder, _) = try Workspace.location(of: location.source, folder: location.workspace)
        print(folder.path)
    }
}
