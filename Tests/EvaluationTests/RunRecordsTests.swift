import Foundation
import TestSupport
import Testing

@testable import Evaluation

@Suite("The records of a run")
struct RunRecordsTests {
    private let folder: TemporaryFolder
    private var path: String { folder.path + "/deep/run.jsonl" }

    init() throws {
        folder = try TemporaryFolder()
    }

    private func identity(model: String = "m", seed: UInt64 = 1, share: String = "0.5") -> RunIdentity {
        RunIdentity(evaluation: "lds", model: model, corpus: "c", seed: seed, settings: ["share": share])
    }

    private func open(_ identity: RunIdentity) throws -> RunRecords<[Double]> {
        try RunRecords(path: path, identity: identity)
    }

    @Test("are there again when the file is opened again")
    func reopening() throws {
        let values = [-0.1, 1e-300, 3.000_000_000_000_1]
        try open(identity()).append("a/1", values)
        let again = try open(identity())
        try again.append("b", [])
        #expect(again["a/1"] == values)
        #expect(again["c"] == nil)
        #expect(try open(identity()).count == 2)
    }

    @Test("go on behind a line that a crash cut short")
    func tornLine() throws {
        let records = try open(identity())
        try records.append("whole", [1])
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        try (whole + Data(#"{"key":"torn","val"#.utf8)).write(to: URL(fileURLWithPath: path))
        let again = try open(identity())
        #expect(again["whole"] == [1])
        #expect(again["torn"] == nil)
        try again.append("next", [2])
        #expect(try open(identity())["next"] == [2])
    }

    @Test("do not keep what could not be written, and go on behind what could")
    func fullDisk() throws {
        let records = try open(identity())
        try records.append("a", [1])
        // As a full disk leaves it: part of a line, of which nothing is known any more.
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data("{\"k".utf8))
        try file.close()
        try records.append("b", [2])
        let again = try open(identity())
        #expect(again["a"] == [1] && again["b"] == [2])
    }

    @Test("are refused where they are those of another run, by the names of what differs")
    func otherRun() throws {
        try open(identity()).append("a", [1])
        #expect(throws: RunRecordsError.otherRun(path: path, differences: ["model", "seed", "share"])) {
            try open(identity(model: "n", seed: 2, share: "0.25"))
        }
        #expect(try open(identity())["a"] == [1], "what is refused is left as it was")
    }

    @Test("name the line that is not one of them")
    func damage() throws {
        try open(identity()).append("a", [1])
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        data += Data("{\"key\": 3}\n".utf8)
        try data.write(to: URL(fileURLWithPath: path))
        #expect(throws: RunRecordsError.unreadable(path: path, line: 3)) { try open(identity()) }
        try Data("not JSON\n".utf8).write(to: URL(fileURLWithPath: path))
        #expect(throws: RunRecordsError.unreadable(path: path, line: 1)) { try open(identity()) }
    }
}
