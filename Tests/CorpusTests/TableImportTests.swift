import Foundation
import Testing

@testable import Corpus

@Suite("Tables, arrays and folders")
struct TableImportTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("TablesTests/Fixtures")

    private func path(_ name: String) -> String { Self.fixtures.appendingPathComponent(name).path }

    private static func rows(of field: String) -> RowFields {
        var rows = RowFields()
        rows.kind = .text
        rows.text = FieldFormat(field: field)
        return rows
    }

    /// The corpus after an import, by identifier: the text and the source of each document.
    private func documents(
        _ corpus: TestCorpus, _ inputs: [CorpusInput], rows: RowFields = RowFields(),
        badRecords: CorpusImport.BadRecords = .stop
    ) throws -> [String: [String?]] {
        try CorpusImport(into: corpus.store, badRecords: badRecords, rows: rows).run(inputs)
        var documents: [String: [String?]] = [:]
        for sequence in try corpus.contents() {
            let document = try corpus.store.document(named: sequence.id)
            documents[sequence.id] = [document?.text, document?.source]
        }
        return documents
    }

    @Test("give the documents of the JSON lines with the same rows", arguments: ["flat.csv", "flat.tsv", "flat.json"])
    func sameRows(file: String) throws {
        let expected = try documents(TestCorpus(), [.file(path("flat.jsonl"))])
        #expect(expected.count > 30)
        #expect(try documents(TestCorpus(), [.file(path(file))]) == expected)
    }

    @Test(
        "give the documents of the JSON lines with the same rows, empty texts left out",
        arguments: ["rows.jsonl.zst", "pandas.parquet", "groups.parquet", "zstd.arrow", "stream.arrow", "saved"])
    func sameRowsOrBad(file: String) throws {
        let lines = file == "rows.jsonl.zst" || !file.hasPrefix("pandas") ? "rows.jsonl" : "pandas.jsonl"
        func read(_ file: String) throws -> [CorpusRecord] {
            try InputFiles(at: [path(file)]).inputs.flatMap { input in
                let reader = try RecordReader(input, rows: Self.rows(of: "text"))
                var records: [CorpusRecord] = []
                while let raw = try reader.next() {
                    guard var record = try? CorpusRecord(raw, rows: Self.rows(of: "text")) else { continue }
                    record.location = CorpusInputLocation(file: "", line: 0)
                    records.append(record)
                }
                return records
            }
        }
        let expected = try read(lines)
        #expect(expected.count > 30)
        #expect(try read(file) == expected)
    }

    @Test("can have the text in another field, in every format")
    func textField() throws {
        let texts = [
            ("x.jsonl", "{\"body\": \"a b\", \"text\": 7, \"id\": \"one\"}\n"), ("x.csv", "id,body,text\none,a b,\n"),
            ("x.json", "[{\"id\": \"one\", \"body\": \"a b\"}]"),
        ]
        for (name, content) in texts {
            let corpus = try TestCorpus()
            let file = try corpus.folder.write(content, to: name)
            let found = try documents(corpus, [.file(file)], rows: Self.rows(of: "body"))
            #expect(found == ["one": ["a b", nil]], "\(name)")
        }
        let failure = importFailure {
            _ = try documents(TestCorpus(), [.file(path("pandas.parquet"))], rows: Self.rows(of: "body"))
        }
        #expect(
            failure?.reason.description
                == "pandas.parquet: there is no column \"body\". The columns are \"id\", \"text\", \"source\".")
    }

    @Test(
        "refuse numbers, nested fields and nulls where a string is wanted, with row and column",
        arguments: [
            ("rows", "small", "groups.parquet, row 1: \"small\" is a number; a string is expected.", "groups.parquet"),
            (
                "nested", "messages", "groups.parquet, row 1: \"messages\" is an array; a string is expected.",
                "groups.parquet"
            ),
            ("null", "source", "\"source\" is null; a string is expected.", "pandas.parquet"),
            ("arrow", "weight", "\"weight\" is", "file.arrow"),
        ])
    func wrongTypes(name: String, field: String, words: String, file: String) throws {
        let failure = importFailure {
            _ = try documents(TestCorpus(), [.file(path(file))], rows: Self.rows(of: field))
        }
        let description = failure?.reason.description ?? "taken"
        #expect(description.contains(words) && description.contains("\(file), row "), "\(description)")
        #expect(failure?.reason.field == field && failure?.reason.location?.isRow == true)
    }

    @Test("have their bad rows skipped where that is asked for")
    func skipping() throws {
        let corpus = try TestCorpus()
        let file = try corpus.folder.write("id,text\n1,a b\n2\n3,c d\n4,\n", to: "x.csv")
        let summary = try CorpusImport(into: corpus.store, badRecords: .skip).run([.file(file)])
        #expect(summary.documents == 2 && summary.rejected == 2)
        #expect(summary.rejections.map { $0.location?.line } == [3, 5])
        let other = try TestCorpus()
        let binary = try CorpusImport(into: other.store, badRecords: .skip).run([
            .file(path("binary.parquet"))
        ])
        #expect(binary.documents == 2 && binary.rejected == 1)
    }

    @Test("keep metadata, an object in a column or as JSON in a cell")
    func metadata() throws {
        let corpus = try TestCorpus()
        let file = try corpus.folder.write("id,text,metadata\n1,a b,\"{\"\"title\"\": \"\"T\"\"}\"\n", to: "x.csv")
        try CorpusImport(into: corpus.store).run([.file(file)])
        #expect(try corpus.store.document(named: "1")?.metadata == "{\"title\":\"T\"}")
    }

    @Test("are imported again without a change, and after an interruption to the end")
    func resuming() throws {
        let corpus = try TestCorpus()
        var run = CorpusImport(into: corpus.store, badRecords: .skip)
        run.batchLimit = (records: 4, bytes: 1 << 20)
        var calls = 0
        let failure = importFailure {
            try run.run([.file(path("pandas.parquet"))]) { _ in
            } isCancelled: {
                calls += 1
                return calls > 20
            }
        }
        #expect(failure?.reason == .cancelled)
        let added = failure?.summary.documents ?? 0
        #expect(added > 0)
        let rest = try run.run([.file(path("pandas.parquet"))])
        #expect(rest.documents > 0)
        let again = try run.run([.file(path("pandas.parquet"))])
        #expect(again.documents == 0 && again.duplicates == added + rest.documents)
    }

    @Test("report their progress in bytes, up to the whole")
    func progress() throws {
        var last = CorpusImportProgress()
        let corpus = try TestCorpus()
        try CorpusImport(into: corpus.store, badRecords: .skip)
            .run([.file(path("groups.parquet")), .file(path("stream.arrow"))]) { last = $0 }
        #expect(last.bytesRead == last.bytesTotal && last.bytesRead > 10_000)
    }

    // MARK: Folders

    @Test("in folders are found in the order of their names; hidden ones are left out, unknown ones named")
    func folders() throws {
        let folder = try TemporaryFolder()
        for inner in ["b", "a", ".git"] {
            try FileManager.default.createDirectory(
                at: folder.url.appendingPathComponent(inner), withIntermediateDirectories: true)
        }
        for name in [
            "b/2.jsonl", "b/10.csv", "a/x.parquet", "c.txt.zst", ".hidden.jsonl", ".git/x.jsonl", "_SUCCESS",
            "README.md",
        ] {
            _ = try folder.write("", to: name)
        }
        try FileManager.default.createSymbolicLink(
            at: folder.url.appendingPathComponent("a/loop"), withDestinationURL: folder.url)
        let found = try InputFiles(at: [folder.url.path])
        let name = folder.url.lastPathComponent
        #expect(
            found.inputs.map(\.name) == ["a/x.parquet", "b/10.csv", "b/2.jsonl", "c.txt.zst"].map { "\(name)/\($0)" })
        #expect(found.unknown == ["\(name)/README.md"])
        let matched = try InputFiles(at: ["\(folder.url.path)/b/*.csv", "\(folder.url.path)/[b-c]*"])
        #expect(matched.inputs.map(\.name) == ["10.csv", "b/10.csv", "b/2.jsonl", "c.txt.zst"])
    }

    @Test("of a saved dataset are its shards; several splits are refused with their names")
    func savedDatasets() throws {
        let found = try InputFiles(at: [path("saved")])
        #expect(found.inputs.map(\.name) == ["saved/data-00000-of-00002.arrow", "saved/data-00001-of-00002.arrow"])
        let error = try #require(throws: CorpusImportError.self) { try InputFiles(at: [path("splits")]) }
        #expect(error == .severalSplits(path: path("splits"), splits: ["train", "test"]))
        #expect(error.description.contains("splits train, test") && error.description.contains("splits/train"))
        #expect(try InputFiles(at: [path("splits/test")]).inputs.count == 1)
    }

    @Test("that are not there are refused", arguments: ["missing.jsonl", "missing-*.jsonl", "empty"])
    func missing(name: String) throws {
        let folder = try TemporaryFolder()
        try FileManager.default.createDirectory(
            at: folder.url.appendingPathComponent("empty"), withIntermediateDirectories: true)
        _ = try folder.write("", to: "empty/notes.md")
        let error = try #require(throws: CorpusImportError.self) { try InputFiles(at: [folder.url.path + "/" + name]) }
        #expect(error.description.contains(name), "\(error)")
        if name == "empty" { #expect(error.description.contains("notes.md")) }
    }

    @Test("are refused from standard input with what to do, and cut ones with what is missing")
    func refusals() throws {
        let whole = try [UInt8](Data(contentsOf: Self.fixtures.appendingPathComponent("pandas.parquet")))
        let corpus = try TestCorpus()
        let file = try corpus.folder.write(Array(whole.dropLast(10)), to: "x.parquet")
        let failure = importFailure { try CorpusImport(into: corpus.store).run([.file(file)]) }
        #expect(
            failure?.reason.description
                == "x.parquet: the file ends before its footer, which lists its columns. Copy or download it again.")
        let zstd = try [UInt8](Data(contentsOf: Self.fixtures.appendingPathComponent("rows.jsonl.zst")))
        let cut = try corpus.folder.write(Array(zstd.dropLast(100)), to: "x.jsonl.zst")
        let cutFailure = importFailure { try CorpusImport(into: corpus.store, badRecords: .skip).run([.file(cut)]) }
        #expect(cutFailure?.reason == .truncatedCompression(file: "x.jsonl.zst"))
    }
}
