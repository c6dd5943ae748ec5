import Foundation
import TestScratch
import Testing

@testable import Files

@Suite("A file that grows")
struct GrowingFileTests {
    private let scratch: TemporaryFolder
    private let path: String

    init() throws {
        scratch = try TemporaryFolder()
        path = scratch.path("file")
    }

    private var text: String {
        get throws { try String(contentsOfFile: path, encoding: .utf8) }
    }

    @Test("grows at its end, and is changed where it is told to be")
    func growth() throws {
        try scratch.write(Array("head ".utf8), to: "file")
        var file = try GrowingFile(path: path, keeping: 5)
        try file.append(Data("one ".utf8).bytes)
        try file.overwrite(Data("HE".utf8).bytes, at: 0)
        try file.append(Data("two".utf8).bytes)
        #expect(file.length == 12)
        #expect(try text == "HEad one two")
    }

    @Test("loses what is behind its whole part when it is opened")
    func cut() throws {
        try scratch.write(Array("whole, torn".utf8), to: "file")
        let file = try GrowingFile(path: path, keeping: 6)
        #expect(file.length == 6)
        #expect(try text == "whole,")
    }

    @Test("is refused if it is shorter than it should be, or missing")
    func short() throws {
        try scratch.write([1], to: "file")
        #expect(throws: AtomicFileError.self) { _ = try GrowingFile(path: path, keeping: 2) }
        #expect(throws: AtomicFileError.missingFolder(path: scratch.path("absent"))) {
            _ = try GrowingFile(path: scratch.path("absent"), keeping: 0)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([1]))
    }

    @Test("has nothing of a write that did not end, so that the next one follows what is whole")
    func tornWrite() throws {
        try scratch.write("", to: "file")
        var file = try GrowingFile(path: path, keeping: 0)
        try file.append(Data("one ".utf8).bytes)
        let failure = Result {
            try file.append(Data("torn".utf8).bytes) { bytes, descriptor, path in
                try FileSystem.write(bytes.extracting(first: 2), to: descriptor, of: path)
                throw AtomicFileError.diskFull(path: path)
            }
        }
        #expect(throws: AtomicFileError.self) { try failure.get() }
        #expect(try text == "one ")
        try file.append(Data("two".utf8).bytes)
        #expect(try text == "one two")
    }
}
