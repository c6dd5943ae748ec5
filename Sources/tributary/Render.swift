import ArgumentParser
import Attribution
import Foundation
import JSON

/// `tributary render`: a server's result as the table that `tributary query` prints.
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
