import Testing

@testable import Corpus

@Suite("An ingestion")
struct CorpusIngestionTests {
    private func ingest(
        _ text: String, into corpus: TestCorpus, form: CorpusIngestion.Form = .lines, maximumRecords: Int = 100
    ) throws -> CorpusIngestion.Outcome {
        try CorpusIngestion(into: corpus.store, maximumRecords: maximumRecords).run(Array(text.utf8), form: form)
    }

    @Test("adds its records, counts those that are there already, and says what each is called")
    func adds() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(jsonLine(id: "old", text: "abc"))
        let outcome = try ingest(
            jsonLine(id: "new", text: "defghij") + "\n" + jsonLine(text: "abc") + jsonLine(text: "xyz"), into: corpus)
        #expect(outcome.summary.documents == 2)
        #expect(outcome.summary.sequences == 3)
        #expect(outcome.summary.tokens == 10)
        #expect(outcome.summary.duplicates == 1)
        #expect(outcome.statistics == (try corpus.store.statistics()))
        #expect(outcome.statistics.sequences == 4)
        let names = outcome.identifiers.compactMap { $0 }
        #expect(names.count == 3)
        #expect(names.prefix(2) == ["new", "old"])
        #expect(try corpus.store.document(named: names[2])?.text == "xyz")
    }

    @Test("that is sent again adds nothing")
    func repeated() throws {
        let corpus = try TestCorpus()
        let body = jsonLine(text: "abc") + jsonLine(text: "abc") + jsonLine(id: "d", text: "def")
        let first = try ingest(body, into: corpus)
        let second = try ingest(body, into: corpus)
        #expect(first.summary.documents == 2)
        #expect(second.summary.documents == 0)
        #expect(second.summary.duplicates == 3)
        #expect(second.statistics == first.statistics)
        #expect(second.identifiers == first.identifiers)
    }

    @Test(
        "with one bad record adds nothing, and names its line and field",
        arguments: [
            ("{\"text\": 7}", "text", "is a number"), ("{\"id\": \"x\"}", "text", "has no \"text\""),
            ("{\"text\": \" \"}", "text", "is empty"), ("{\"id\": \"a\", \"text\": \"other\"}", "id", "another text"),
            ("{\"text\": \"x\", \"source\": \"a\\u0000b\"}", "source", "NUL"),
            ("{\"text\": \"x\", \"metadata\": []}", "metadata", "an array"), ("[1]", nil, "an array"),
            ("{\"text\": ", nil, "not JSON"),
            ("{\"text\": \"x\",}", nil, "column 14"), ("{\"text\": \"x\", \"text\": \"y\"}", nil, "appears twice"),
            ("{\"text\": \"x\", \"n\": NaN}", nil, "NaN is not JSON"),
        ])
    func allOrNone(line: String, field: String?, words: String) throws {
        let corpus = try TestCorpus()
        try corpus.add(jsonLine(id: "a", text: "abc"))
        let before = try corpus.store.statistics()
        let error = #expect(throws: CorpusImportError.self) {
            try ingest(jsonLine(id: "b", text: "def") + line + "\n" + jsonLine(text: "ghi"), into: corpus)
        }
        #expect(error?.location?.line == 2)
        #expect(error?.field == field)
        #expect(error?.sentence.contains(words) == true)
        #expect(error?.sentence.contains("request-") == false)
        #expect(try corpus.store.statistics() == before)
        #expect(try corpus.store.document(named: "b") == nil)
        #expect(try corpus.store.termIndex.sequencesWithToken(Int32(UInt8(ascii: "d"))) == 0)
    }

    @Test("of a container is refused by what it is")
    func containers() throws {
        let corpus = try TestCorpus()
        let error = #expect(throws: CorpusImportError.self) {
            try CorpusIngestion(into: corpus.store, maximumRecords: 9).run([0x28, 0xB5, 0x2F, 0xFD], form: .lines)
        }
        #expect(error?.sentence.hasPrefix("this is data compressed with zstd") == true && error?.location?.line == 1)
    }

    @Test("takes one object on several lines")
    func object() throws {
        let corpus = try TestCorpus()
        let outcome = try ingest("{\n  \"id\": \"a\",\n  \"text\": \"abc\"\n}\n", into: corpus, form: .object)
        #expect(outcome.identifiers == ["a"])
    }

    @Test("refuses more records than it may take")
    func tooMany() throws {
        let corpus = try TestCorpus()
        _ = try ingest(jsonLine(text: "a") + jsonLine(text: "b"), into: corpus, maximumRecords: 2)
        #expect {
            try ingest(
                jsonLine(text: "c") + jsonLine(text: "d") + jsonLine(text: "e"), into: corpus, maximumRecords: 2)
        } throws: { error in
            if case CorpusImportError.tooManyRecords(_, limit: 2) = error { true } else { false }
        }
        #expect(try corpus.store.statistics().documents == 2)
    }

    @Test("leaves the corpus as it was to those who ask for it")
    func asOf() throws {
        let corpus = try TestCorpus(encode: ToyTokenizer.numberedWords)
        try corpus.add(jsonLine(text: "w1 w2", more: ", \"source\": \"s\"") + jsonLine(text: "w2 w3"))
        let index = corpus.store.termIndex
        let matches = try index.search(queryTokens: [1, 2], limit: 10)
        let sourced = try index.search(queryTokens: [1, 2], limit: 10, source: "s")
        let rowids = try corpus.store.rowids(source: "s")
        _ = try ingest(
            jsonLine(text: "w1 w1 w4", more: ", \"source\": \"s\"") + jsonLine(text: "w2 w9"), into: corpus)
        #expect(try index.search(queryTokens: [1, 2], limit: 10).map(\.rowid).sorted() == [1, 2, 3, 4])
        #expect(try index.search(queryTokens: [1, 2], limit: 10, asOf: 2) == matches)
        #expect(try index.search(queryTokens: [1, 2], limit: 10, source: "s", asOf: 2) == sourced)
        #expect(try corpus.store.rowids(asOf: 2) == [1, 2])
        #expect(try corpus.store.rowids(source: "s", asOf: 2) == rowids)
        #expect(try corpus.store.rowids(source: "s") == [1, 3])
    }

    @Test("can be listed in parts, from a place and of a source")
    func listing() throws {
        let corpus = try TestCorpus(sequenceLength: 2)
        try corpus.add(
            jsonLine(id: "a", text: "abcde", more: ", \"source\": \"s\"") + jsonLine(id: "b", text: "f")
                + jsonLine(id: "c", text: "ghi", more: ", \"source\": \"s\""))
        let store = corpus.store
        #expect(try store.sequences(after: 0, limit: 4).map(\.id) == ["a#0", "a#1", "a#2", "b"])
        #expect(try store.sequences(after: 4, limit: 4).map(\.id) == ["c#0", "c#1"])
        #expect(try store.sequences(after: 6, limit: 4).isEmpty)
        #expect(try store.sequences(after: 0, source: "s", limit: 2).map(\.id) == ["a#0", "a#1"])
        #expect(try store.sequences(after: 2, source: "s", limit: 2).map(\.id) == ["a#2", "c#0"])
        #expect(try store.sequences(after: 5, source: "s", limit: 2).map(\.id) == ["c#1"])
        #expect(try store.sequences(after: 0, source: "t", limit: 2).isEmpty)
    }
}
