import Foundation
import TestScratch
import Testing

@testable import Files

@Suite("A set of files that are replaced as one")
struct AtomicFileSetTests {
    private let scratch: TemporaryFolder
    private let folder: String

    init() throws {
        scratch = try TemporaryFolder()
        folder = scratch.path("deep/set")
    }

    private func stage(_ text: String) throws -> AtomicFileSet {
        let files = try AtomicFileSet(in: folder, mark: "mark")
        for name in ["mark", "a", "z"] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(files.contents)/\(name)"))
        }
        return files
    }

    private func texts() throws -> [String] {
        try ["a", "mark", "z"].map { try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }
    }

    private var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
    }

    @Test("takes the place of the old ones, and leaves other files alone")
    func replaces() throws {
        try stage("old").commit()
        #expect(try texts() == ["old", "old", "old"])
        try Data().write(to: URL(fileURLWithPath: folder + "/other"))
        try stage("new").commit()
        #expect(try texts() == ["new", "new", "new"])
        #expect(try names == ["a", "mark", "other", "z"])
    }

    @Test("changes nothing before it is whole, nor when it is given up")
    func givenUp() throws {
        try stage("old").commit()
        do {
            let files = try stage("new")
            #expect(try texts() == ["old", "old", "old"])
            #expect(FileManager.default.fileExists(atPath: files.contents))
        }
        #expect(try texts() == ["old", "old", "old"])
        #expect(try names == ["a", "mark", "z"])
    }

    @Test("has no mark while files of both are there")
    func between() throws {
        try stage("old").commit()
        // A folder that cannot be replaced by a file: the moves end there.
        try FileManager.default.removeItem(atPath: folder + "/z")
        try FileManager.default.createDirectory(atPath: folder + "/z/full", withIntermediateDirectories: true)
        #expect(throws: AtomicFileError.self) { try stage("new").commit() }
        #expect(try names == ["a", "z"])
        try FileManager.default.removeItem(atPath: folder + "/z")
        try stage("newer").commit()
        #expect(try texts() == ["newer", "newer", "newer"])
    }
}
