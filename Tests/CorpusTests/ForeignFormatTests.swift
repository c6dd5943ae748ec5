import Foundation
import Testing

@testable import Corpus

@Suite("What cannot be imported")
struct ForeignFormatTests {
    /// The error of an import of a file, and how many documents it added all the same.
    private func outcome(
        _ bytes: [UInt8], named name: String, format: CorpusInput.Format? = nil
    ) throws -> (error: String?, texts: [String?]) {
        let corpus = try TestCorpus()
        let file = try corpus.folder.write(bytes, to: name)
        let failure = importFailure { try CorpusImport(into: corpus.store).run([.file(file, format: format)]) }
        return (
            failure?.description, try corpus.contents().map { try corpus.store.document(named: $0.id)?.text }
        )
    }

    @Test(
        "is refused by name, whatever the file is called",
        arguments: [
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz"),
            ([0x04, 0x22, 0x4D, 0x18, 0x64], "LZ4"), (Array("BZh91AY&SY".utf8) + [0x17, 0x72], "bzip2"),
            (Array("FEA1".utf8) + [0, 0, 0xFF], "Feather"), (Array("ORC".utf8) + [0x0A, 0x03, 0], "ORC"),
            ([0x93] + Array("NUMPY".utf8) + [1, 0], "NumPy"),
            ([0x50, 0x4B, 3, 4] + Array("..word/document".utf8), "zip"),
            ([0x50, 0x4B, 3, 4] + Array("......arr_0.npy".utf8), ".npz"),
            ([0x50, 0x4B, 3, 4] + Array("archive/data.pkl".utf8), "PyTorch"), ([0x80, 4, 0x95, 1], "pickle"),
            (Array("SQLite format 3".utf8) + [0, 16], "SQLite"), (Array("%PDF-1.7\n".utf8), "PDF"),
            ([0x89] + Array("HDF\r\n".utf8) + [0x1A, 0x0A], "HDF5"),
            (Array(repeating: 0x61, count: 257) + Array("ustar".utf8) + [0], "tar"),
            ([0xFF, 0xFE, 0x7B, 0, 0x22, 0], "UTF-16"), ([0xFE, 0xFF, 0, 0x7B], "UTF-16"),
            ([0x7B, 0, 0x22, 0, 0x74, 0], "UTF-16"), ([0xFF, 0xFE, 0, 0, 0x7B, 0, 0, 0], "UTF-32"),
            ([0x40, 1, 0, 0, 0, 0, 0, 0] + Array("{\"a\":{}}".utf8), "safetensors"),
            (Array("GGUF".utf8) + [3, 0, 0, 0], "GGUF"),
        ] as [([UInt8], String)])
    func containers(bytes: [UInt8], name: String) throws {
        for file in ["x.jsonl", "x.txt", "x"] {
            let (error, texts) = try outcome(bytes, named: file)
            #expect(
                error?.hasPrefix("\(file): this is ") == true && error?.contains(name) == true, "\(error ?? "taken")")
            #expect(texts.isEmpty)
        }
        let (compressed, _) = try outcome(GzipFixture.stored(bytes), named: "x.jsonl.gz")
        #expect(compressed?.contains(name) == true, "\(compressed ?? "taken")")
    }

    @Test("is a table in a compressed file or in a request: it is read at any offset")
    func compressedTables() throws {
        for head in [
            Array("PAR1".utf8) + [0x15, 0x04], Array("ARROW1".utf8) + [0, 0], [0xFF, 0xFF, 0xFF, 0xFF, 0x10, 1, 0, 0],
        ] {
            let (error, texts) = try outcome(GzipFixture.stored(head), named: "x.gz")
            #expect(error?.contains("read from a file that is not compressed") == true, "\(error ?? "taken")")
            #expect(texts.isEmpty)
        }
    }

    @Test(
        "is refused where it is JSON that is not an object a line, or a table that is named as text",
        arguments: [
            ("[{\"text\":\"a b\"},{\"text\":\"c d\"}]", "x.txt", "--format jsonl"),
            ("[\"a\",\n \"b\"]\n", "x", "x:1: the line is a string; an object is expected"),
            ("[{\"text\": \"a b\", \"score\": NaN}]", "x", "NaN is not JSON"),
            ("[1, 2", "x", "the line is a number"),
            ("{\n  \"text\": \"a b\"\n}\n", "x.json", "jq -c ."), ("{\n  \"text\": \"a b\"\n}\n", "x", "jq -c ."),
            ("{\n  \"text\": \"a b\"\n}\n", "x.txt", "--format jsonl"),
            ("{\"text\": \"a b\"}", "x.txt", "--format jsonl"),
            ("some words\n", "x.CSV", "there is no column \"text\". The columns are \"some words\""),
            ("\"prompt\",\"completion\"\r\na,b\r\n", "x.txt", "--format csv"),
            ("id\ttext\n1\ta b\n", "x.txt", "--format tsv"),
            ("id\ttext\n1\ta b\n", "x.csv", "The columns are"), ("", "x.csv", "names the columns"),
        ])
    func text(content: String, name: String, words: String) throws {
        let (error, texts) = try outcome(Array(content.utf8), named: name)
        #expect(error?.contains(words) == true, "\(error ?? "taken")")
        #expect(texts.isEmpty)
    }

    @Test(
        "is not what prose may begin with",
        arguments: [
            "[1] See above.", "[Verse 1]\nA line", "[[Hamlet]] is a tragedy.", "PARIS is a city", "PAR1 and more",
            "Once, twice, a text", "Text, id, and other words\nfollow here", "a,b,c", "{an aside} and more",
            "BZh is no word", "ORChids", "Objects", "GGUF is a format", "[\"Hello,\" she said]",
        ])
    func prose(text: String) throws {
        let name = text.hasPrefix("{") ? "x.txt" : "x"
        let (error, texts) = try outcome(Array(text.utf8), named: name)
        #expect(error == nil && texts == [text])
    }

    @Test("is taken as plain text where that is asked for, if it is text at all")
    func asked() throws {
        for (content, name) in [
            ("id,text\n1,a b", "x.csv"), ("[{\"text\":\"a b\"}]", "x.json"), ("{\"text\":\"a\"}", "x.txt"),
        ] {
            let (error, texts) = try outcome(Array(content.utf8), named: name, format: .plainText)
            #expect(error == nil && texts == [content])
        }
        let (error, _) = try outcome([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], named: "x", format: .plainText)
        #expect(error?.contains("xz") == true)
    }
}
