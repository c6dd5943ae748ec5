import Foundation
import Glibc
import TestScratch
import Testing

@testable import Files

@Suite("A folder that is written atomically")
struct AtomicFolderTests {
    private let scratch: TemporaryFolder
    private let path: String

    init() throws {
        scratch = try TemporaryFolder()
        path = scratch.path("folder")
    }

    private func write(
        _ text: String, exchanging exchange: (String, String) -> Int32 = FileSystem.exchange
    ) throws {
        var folder = try AtomicFolder(replacing: path)
        for name in ["one", "two"] { try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder.contents)/\(name)")) }
        try folder.commit(exchanging: exchange)
    }

    /// What each file has.
    private func texts() throws -> [String] {
        try ["one", "two"].map { try String(contentsOfFile: "\(path)/\($0)", encoding: .utf8) }
    }

    /// Makes a folder beside the place, as a crash leaves it.
    private func leave(_ text: String, as name: String) throws {
        try FileManager.default.createDirectory(atPath: scratch.path(name), withIntermediateDirectories: true)
        for file in ["one", "two"] { try scratch.write(text, to: "\(name)/\(file)") }
    }

    /// The code of a file system that cannot exchange.
    private static let unable = [EINVAL, ENOSYS, EOPNOTSUPP]

    @Test("replaces the old one and leaves nothing beside it")
    func replaces() throws {
        try write("old")
        #expect(try texts() == ["old", "old"])
        try write("new")
        #expect(try texts() == ["new", "new"])
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("replaces it by two renames where the file system cannot exchange", arguments: unable)
    func twoRenames(code: Int32) throws {
        try write("old")
        try write("new", exchanging: { _, _ in code })
        #expect(try texts() == ["new", "new"])
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("shows nothing of itself before it is whole, and is removed when it is given up")
    func invisible() throws {
        try write("old")
        do {
            let folder = try AtomicFolder(replacing: path)
            try Data("new".utf8).write(to: URL(fileURLWithPath: folder.contents + "/one"))
            #expect(try texts() == ["old", "old"])
            #expect(try scratch.fileNames.count == 2)
        }
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("leaves the old one where it cannot take its place")
    func refused() throws {
        try write("old")
        #expect(throws: AtomicFileError.diskFull(path: path)) { try write("new", exchanging: { _, _ in ENOSPC }) }
        #expect(try texts() == ["old", "old"])
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("does not replace a file")
    func file() throws {
        try scratch.write([1], to: "folder")
        #expect(throws: AtomicFileError.self) { try write("new") }
        #expect(try scratch.fileNames == ["folder"])
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([1]))
    }

    @Test("replaces a link to a folder, and leaves what it leads to", arguments: [0] + unable)
    func link(code: Int32) throws {
        try leave("elsewhere", as: "target")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "target")
        try write("new", exchanging: code == 0 ? FileSystem.exchange : { _, _ in code })
        #expect(try texts() == ["new", "new"])
        #expect(try scratch.fileNames == ["folder", "target"])
        #expect(try String(contentsOfFile: scratch.path("target/one"), encoding: .utf8) == "elsewhere")
    }

    /// Names of this version and of an earlier one.
    private static let marks = ["99999", "5E0C7F4A-0F5B-4D6B-9B43-0B1E3C8C9C10"]

    @Test("is found after a crash between the two renames: the new one, which is whole by then", arguments: marks)
    func between(mark: String) throws {
        try leave("new", as: ".folder.writing-\(mark)")
        try leave("old", as: ".folder.writing-\(mark).old")
        AtomicFolder.recover(path)
        #expect(try texts() == ["new", "new"])
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("is the old one where the new one turns out not to be whole", arguments: marks)
    func newIsNotWhole(mark: String) throws {
        try leave("new", as: ".folder.writing-\(mark)")
        try leave("old", as: ".folder.writing-\(mark).old")
        AtomicFolder.recover(path) { (try? String(contentsOfFile: $0 + "/one", encoding: .utf8)) == "old" }
        #expect(try texts() == ["old", "old"])
        #expect(try scratch.fileNames == ["folder"])
    }

    @Test("is not thrown away before the next one is written, where neither is whole or nobody has asked")
    func kept() throws {
        try leave("new", as: ".folder.writing-7")
        try leave("old", as: ".folder.writing-7.old")
        AtomicFolder.recover(path) { _ in false }
        #expect(try scratch.fileNames == [".folder.writing-7", ".folder.writing-7.old"])
        // Given up: what was there is at its place by then.
        do { _ = try AtomicFolder(replacing: path) }
        #expect(try texts() == ["new", "new"])
    }

    @Test("is not made of one that a crash left half written")
    func unfinished() throws {
        try leave("half", as: ".folder.writing-7")
        AtomicFolder.recover(path)
        #expect(try scratch.fileNames == [])
    }

    @Test("has what crashes left removed, and nothing of other names")
    func leftovers() throws {
        try leave("old", as: ".folder.writing-7")
        try leave("old", as: ".folder.writing-8.old")
        let others = [".folder", ".folder.writing-notes", ".folder.old", "folder.writing-7", ".other.writing-7"]
        for name in others { try leave("other", as: name) }
        try write("new")
        #expect(try scratch.fileNames == (others + ["folder"]).sorted())
    }

    @Test("is not taken for a leftover while it is being written")
    func writers() throws {
        var first = try AtomicFolder(replacing: path)
        try Data("first".utf8).write(to: URL(fileURLWithPath: first.contents + "/one"))
        try Data("first".utf8).write(to: URL(fileURLWithPath: first.contents + "/two"))
        try write("second")
        #expect(try texts() == ["second", "second"])
        try first.commit()
        #expect(try texts() == ["first", "first"])
        #expect(try scratch.fileNames == ["folder"])
    }
}
