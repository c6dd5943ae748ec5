import Foundation
import JSON
import TestScratch
import Testing

@Suite("The trees command")
struct TreesCommandTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appending(path: "TreesTests/Fixtures")

    private static func arguments(_ name: String, _ more: [String]) -> [String] {
        let folder = fixtures.appending(path: name)
        let model = folder.appending(path: name.contains("lightgbm") ? "model.txt" : "model.json")
        return [
            "trees", "--model", model.path, "--train", folder.appending(path: "train.csv").path, "--target", "target",
        ] + more
    }

    private static func rows(_ name: String) -> [String] {
        ["--rows", fixtures.appending(path: name).appending(path: "rows.csv").path]
    }

    @Test("gives the same ranking in every format")
    func formats() async throws {
        let name = "lightgbm-mixed-logistic"
        let folder = try TemporaryFolder()
        func run(_ format: String) async throws -> String {
            let outcome = try await Program.run(
                Self.arguments(name, Self.rows(name) + ["--top", "4", "--direction", "both", "--format", format]),
                in: folder)
            #expect(outcome.status == 0, "\(outcome.error)")
            return outcome.output
        }
        let json = try JSONReader.read(Array(try await run("json").utf8))
        guard case .array(let rows)? = json["rows"] else {
            Issue.record("\(json)")
            return
        }
        #expect(rows.count == 3)
        #expect(json["model"]?["training_rows"] == .number("90"))
        let lines = try await run("ndjson").split(separator: "\n")
        #expect(try lines.map { try JSONReader.read(Array($0.utf8)) } == rows)
        var csv = ["row,rank,training_row,score,label"]
        for (index, row) in rows.enumerated() {
            guard case .array(let ranked)? = row["training_rows"] else { continue }
            #expect(ranked.count == 4)
            for (rank, item) in ranked.enumerated() {
                guard case .number(let score)? = item["score"], case .number(let number)? = item["row"],
                    case .number(let label)? = item["label"]
                else { continue }
                csv.append("\(index + 1),\(rank + 1),\(number),\(score),\(label)")
                #expect(item["values"]?["target"].map { "\($0)".contains(label) } == true)
            }
        }
        #expect(try await run("csv") == csv.joined(separator: "\n") + "\n")
        let table = try await run("table")
        #expect(table.contains("Row 3: label"))
        #expect(table.contains("colour"))
    }

    @Test(
        "scores rows on themselves, and draws a row as a page",
        arguments: ["boostin", "leafinfluence", "leafrefit", "trex"])
    func methods(method: String) async throws {
        let name = "xgboost-softmax"
        let folder = try TemporaryFolder()
        let own = try await Program.run(
            Self.arguments(name, ["--self", "--method", method, "--format", "csv", "--top", "3"]), in: folder)
        #expect(own.output.split(separator: "\n").count == 4, "\(own.error)")
        let page = folder.path("page.html")
        let drawn = try await Program.run(
            Self.arguments(name, Self.rows(name) + ["--method", method, "--report", page, "--report-row", "2"]),
            in: folder)
        #expect(drawn.status == 0, "\(drawn.error)")
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.contains("<h1>Row 2</h1>"))
        #expect(html.contains("76 others"))
    }

    @Test("ends with one sentence where rows do not rebuild the model, or the model is another")
    func refusals() async throws {
        let folder = try TemporaryFolder()
        let lines = try String(contentsOf: Self.fixtures.appending(path: "lightgbm-squared/train.csv"), encoding: .utf8)
            .split(separator: "\n")
        let file = try folder.write(lines.dropLast().joined(separator: "\n"), to: "short.csv")
        let outcome = try await Program.run(
            Self.arguments("lightgbm-squared", ["--self"]).map { $0.hasSuffix("train.csv") ? file : $0 }, in: folder)
        expectFailure(outcome, saying: "short.csv", "leaf", "tree 0")
        #expect(outcome.errorLines.count == 1)
        expectFailure(
            try await Program.run(Self.arguments("refused/lightgbm-dart", ["--self"]), in: folder), saying: "boosting",
            "dart")
    }

    @Test(
        "refuses options that do not go together",
        arguments: [
            [], ["--self", "--rows", "x.csv"], ["--self", "--report", "x.html"], ["--self", "--top", "0"],
            ["--self", "--method", "leafrefit", "--as-published"], ["--self", "--learning-rate", "0"],
            ["--self", "--l2", "-1"],
        ])
    func options(_ more: [String]) async throws {
        let outcome = try await Program.run(Self.arguments("xgboost-squared", more), in: TemporaryFolder())
        #expect(outcome.status == 2)
        #expect(outcome.output == "")
    }
}
