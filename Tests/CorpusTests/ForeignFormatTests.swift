import Foundation
import Testing

@testable import Corpus

@Suite("What is neither JSON lines nor plain text")
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
            ([0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x58], "zstd"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0], "xz"),
            ([0x04, 0x22, 0x4D, 0x18, 0x64], "LZ4"), (Array("BZh91AY&SY".utf8) + [0x17, 0x72], "bzip2"),
            (Array("PAR1".utf8) + [0x15, 0x04, 0x15, 0xA0], "Parquet"),
            (Array("ARROW1".utf8) + [0, 0, 0xFF], "Arrow file"),
            ([0xFF, 0xFF, 0xFF, 0xFF, 0x10, 1, 0, 0], "Arrow stream"),
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

    @Test(
        "is refused where it is JSON that is not a line an object",
        arguments: [
            ("[{\"text\":\"a b\"},{\"text\":\"c d\"}]", "x", "array"),
            ("[{\"text\":\"a b\"},{\"text\":\"c d\"}]", "x.json", "array"),
            ("[{\"text\":\"a b\"},{\"text\":\"c d\"}]", "x.jsonl", "array"),
            ("[\n  {\"text\": \"a b\", \"score\": NaN},\n", "x.txt", "array"),
            ("\u{feff} [ {} ]", "x.dat", "array"), ("[\"a\",\n \"b\"]\n", "x", "array"), ("[1, 2", "x", "array"),
            ("{\n  \"text\": \"a b\"\n}\n", "x.json", "jq -c ."), ("{\n  \"text\": \"a b\"\n}\n", "x", "jq -c ."),
            ("{\n  \"text\": \"a b\"\n}\n", "x.txt", "--format jsonl"),
            ("{\"text\": \"a b\"}", "x.txt", "--format jsonl"),
            ("id,text\n1,a b\n", "x.csv", "CSV"), ("some words\n", "x.CSV", "CSV"),
            ("id\ttext\n1\ta\n", "x.tsv", "TSV"),
            ("id,text\n1,a b\n", "x", "CSV"), ("\"prompt\",\"completion\"\r\na,b\r\n", "x.txt", "CSV"),
            ("id\ttext\n1\ta b\n", "x.dat", "TSV"),
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
        let (error, _) = try outcome([0x28, 0xB5, 0x2F, 0xFD], named: "x", format: .plainText)
        #expect(error?.contains("zstd") == true)
    }
}
