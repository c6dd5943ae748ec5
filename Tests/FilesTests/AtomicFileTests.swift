import Foundation
import TestScratch
import Testing

@testable import Files

@Suite("A file that is written atomically")
struct AtomicFileTests {
    private let scratch: TemporaryFolder
    private let path: String

    init() throws {
        scratch = try TemporaryFolder()
        path = scratch.path("file")
    }

    private func text(_ name: String = "file") throws -> String {
        try String(contentsOfFile: scratch.path(name), encoding: .utf8)
    }

    private func refusal(_ operation: () throws -> Void) -> AtomicFileError? {
        do {
            try operation()
            return nil
        } catch {
            return error as? AtomicFileError
        }
    }

    @Test("replaces the old one and leaves nothing beside it")
    func replaces() throws {
        try AtomicFile.write(Data("old".utf8), to: path)
        #expect(try text() == "old")
        try AtomicFile.write(Data("new".utf8), to: path)
        #expect(try text() == "new")
        try AtomicFile.write(Data(), to: path)
        #expect(try text() == "")
        #expect(try scratch.fileNames == ["file"])
    }

    @Test("shows nothing of itself before it is whole")
    func invisible() throws {
        try AtomicFile.write(Data("old".utf8), to: path)
        var file = try AtomicFile(replacing: path)
        try file.append(Data("new, ".utf8).bytes)
        #expect(try text() == "old")
        try file.append(Data("in parts".utf8).bytes)
        #expect(try text() == "old")
        try file.commit()
        #expect(try text() == "new, in parts")
    }

    @Test("is removed when it is given up")
    func givenUp() throws {
        try AtomicFile.write(Data("old".utf8), to: path)
        do {
            var file = try AtomicFile(replacing: path)
            try file.append(Data("half".utf8).bytes)
            #expect(try scratch.fileNames.count == 2)
        }
        #expect(try scratch.fileNames == ["file"])
        #expect(try text() == "old")
    }

    @Test("can be written once")
    func once() throws {
        var file = try AtomicFile(replacing: path)
        try file.commit()
        var failures = 0
        do { try file.append(Data([1]).bytes) } catch { failures += 1 }
        do { try file.commit() } catch { failures += 1 }
        #expect(failures == 2)
        #expect(try text() == "")
    }

    @Test("leaves the old one on a full disk, and says that it is full")
    func diskFull() throws {
        try AtomicFile.write(Data("old".utf8), to: path)
        let error = refusal {
            try scratch.write("", to: ".file.partial")
            let full = open("/dev/full", O_WRONLY)
            var file = AtomicFile(
                replacing: path, temporaryPath: scratch.path(".file.partial"), descriptor: full)
            try file.append(Data("new".utf8).bytes)
            try file.commit()
        }
        #expect(error == .diskFull(path: path))
        #expect(error?.description.contains("the disk is full") == true)
        #expect(try text() == "old")
        #expect(try scratch.fileNames == ["file"])
    }

    @Test("names the folder that is missing")
    func missingFolder() throws {
        let below = scratch.path("absent/file")
        #expect(refusal { try AtomicFile.write(Data(), to: below) } == .missingFolder(path: below))
        try scratch.write("", to: "plain")
        let inFile = scratch.path("plain/file")
        #expect(refusal { try AtomicFile.write(Data(), to: inFile) } == .missingFolder(path: inFile))
    }

    @Test("does not replace a folder")
    func folder() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        guard case .cannotWrite(path, _) = refusal({ try AtomicFile.write(Data([1]), to: path) }) else {
            Issue.record("a folder was replaced")
            return
        }
        #expect(try scratch.fileNames == ["file"])
    }

    @Test("takes a name as long as the file system allows", arguments: ["n", "é", "🏞"])
    func names(character: String) throws {
        let long = String(repeating: character, count: 255 / character.utf8.count)
        try AtomicFile.write(Data("long".utf8), to: scratch.path(long))
        #expect(try text(long) == "long")
    }

    @Test("has what a crash left of it removed when it is next written, or removed")
    func leftovers() throws {
        let ours = [".file.writing-\(UUID().uuidString)", ".file.\(UUID().uuidString).partial"]
        let others = [".file.partial", ".file.writing-", ".other.writing-\(UUID().uuidString)", ".file2.writing-7"]
        for name in ours + others { try scratch.write("", to: name) }
        try AtomicFile.write(Data("new".utf8), to: path)
        #expect(try scratch.fileNames == (others + ["file"]).sorted())
        for name in ours { try scratch.write("", to: name) }
        AtomicFile.remove(path)
        #expect(try scratch.fileNames == others.sorted())
    }

    @Test("is not taken for a leftover while it is being written")
    func writers() throws {
        var first = try AtomicFile(replacing: path)
        try first.append(Data("first".utf8).bytes)
        try AtomicFile.write(Data("second".utf8), to: path)
        AtomicFile.removeLeftovers(of: path)
        try first.commit()
        #expect(try text() == "first")
        #expect(try scratch.fileNames == ["file"])
    }

    @Test("is one of those written at the same time, whole")
    func concurrent() async throws {
        let texts = (0..<8).map { String(repeating: "\($0)", count: 100_000) }
        try await withThrowingTaskGroup { group in
            for text in texts {
                group.addTask { [path] in try AtomicFile.write(Data(text.utf8), to: path) }
            }
            try await group.waitForAll()
        }
        #expect(texts.contains(try text()))
        #expect(try scratch.fileNames == ["file"])
    }
}
