import Foundation
import Testing

@testable import Corpus

@Suite("Sequences")
struct SequenceTests {
    @Test("are cut from documents so that prefix and piece fit the sequence length", arguments: 1...13)
    func splitting(length: Int) throws {
        let corpus = try TestCorpus(sequenceLength: 5, prefix: [-1, 300])
        let text = String("abcdefghijklm".prefix(length))
        try corpus.add(jsonLine(id: "d", text: text))
        let sequences = try corpus.store.sequences(named: "d")

        #expect(sequences.count == (length + 2) / 3)
        #expect(sequences.map(\.tokenOffset) == sequences.indices.map { 3 * $0 })
        #expect(sequences.map(\.piece) == Array(sequences.indices))
        #expect(sequences.allSatisfy { $0.pieceCount == sequences.count && $0.documentID == "d" })
        #expect(sequences.allSatisfy { $0.tokens.count <= 5 && $0.tokens.starts(with: [-1, 300]) })
        #expect(sequences.flatMap { $0.tokens.dropFirst(2) } == text.utf8.map(Int32.init))
        #expect(try corpus.store.statistics().tokens == length)
    }

    @Test("have the prefix once, also where a document spells it out just where it is cut")
    func spelledPrefix() throws {
        let corpus = try TestCorpus(sequenceLength: 4, prefix: [Int32(UInt8(ascii: "<"))])
        // Three tokens beside the prefix: the cut falls before the second, and within the third text.
        try corpus.add(jsonLine(id: "d", text: "abc<de<fgh"))
        let sequences = try corpus.store.sequences(named: "d")
        let texts = sequences.map { String(decoding: $0.tokens.map { UInt8($0) }, as: UTF8.self) }
        #expect(texts == ["<abc", "<de<", "<fgh"])
        #expect(sequences.map(\.tokenOffset) == [0, 4, 7])
        #expect(try corpus.store.statistics().tokens == 9)
        // A document that ends with it has no sequence of it alone.
        try corpus.add(jsonLine(id: "e", text: "xyz<"))
        #expect(try corpus.store.sequences(named: "e").map(\.tokens.count) == [4])
    }

    @Test("of one-piece documents go by the document's id, others by id and piece")
    func identifiers() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(jsonLine(id: "short", text: "abcd") + jsonLine(id: "long", text: "abcde"))
        #expect(try corpus.contents().map(\.id) == ["short", "long#0", "long#1"])
        #expect(try corpus.store.sequences(named: "long").map(\.rowid) == [2, 3])
        #expect(try corpus.store.sequences(named: "long#1").map(\.rowid) == [3])
        for unknown in ["long#2", "long#-1", "long#01", "long#+1", "long#", "short#0", "none", "#0", ""] {
            #expect(try corpus.store.sequences(named: unknown).isEmpty, "\(unknown)")
            #expect(try corpus.store.document(named: unknown) == nil, "\(unknown)")
        }
    }

    @Test("are named by rowids, close together or far apart")
    func identifiersOfRowids() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(
            jsonLine(id: "short", text: "abcd") + jsonLine(id: "long", text: "abcde")
                + (0..<60).map { jsonLine(id: "d\($0)", text: "t\($0)") }.joined())
        let all = try corpus.contents().map(\.id)
        #expect(all.count == 63)
        #expect(try corpus.store.identifiers(rowids: Array(1...63)) == all)
        #expect(try corpus.store.identifiers(rowids: [1, 3, 4, 7]) == ["short", "long#1", "d0", "d3"])
        #expect(try corpus.store.identifiers(rowids: [2, 63]) == ["long#0", "d59"])
        #expect(try corpus.store.identifiers(rowids: []).isEmpty)
        for rowids: [Int64] in [[62, 63, 64], [1, 64], [0, 1]] {
            #expect(throws: CorpusError.self, "\(rowids)") { try corpus.store.identifiers(rowids: rowids) }
        }
    }

    @Test("are found by lists of names of documents and pieces, in their order")
    func lists() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(jsonLine(id: "short", text: "abcd") + jsonLine(id: "long", text: "abcde"))
        #expect(try corpus.store.rowids(named: ["long#1", "short", "long"]) == [3, 1, 2, 3])
        #expect(throws: CorpusError.unknownIdentifiers(["x", "long#9"])) {
            try corpus.store.rowids(named: ["x", "short", "long#9"])
        }
    }

    @Test("are named after their text's hash if they came without an id")
    func generatedIdentifiers() throws {
        let corpus = try TestCorpus()
        try corpus.add(jsonLine(text: "abc"))
        #expect(try corpus.contents().map(\.id) == ["sha256-ba7816bf8f01cfea"])

        // A longer part of the hash is used if another text has taken the name.
        let hash = "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282"
        try corpus.add(jsonLine(id: "sha256-3608bca1e44ea6c4", text: "a squatter") + jsonLine(text: "xyz"))
        #expect(try corpus.contents().map(\.id).last == "sha256-\(hash.prefix(32))")
    }

    @Test("keep any 32-bit token")
    func extremeTokens() throws {
        let tokens: [Int32] = [0, -1, .min, .max, 255, 256, 65_536, 16_777_216, -2]
        let corpus = try TestCorpus(encode: { _ in tokens })
        try corpus.add("x", format: .plainText)
        #expect(try corpus.store.tokens(rowids: [1]) == [tokens])
        for token in tokens {
            #expect(try corpus.store.termIndex.search(queryTokens: [token], limit: 9).map(\.rowid) == [1])
        }
    }

    @Test("are fetched by rowid in the order of the list, repeats included")
    func fetching() throws {
        let corpus = try TestCorpus(prefix: [7])
        try corpus.add((0..<20).map { jsonLine(id: "d\($0)", text: "text \($0)") }.joined())
        #expect(try corpus.store.sequences(rowids: [9, 3, 3, 20]).map(\.id) == ["d8", "d2", "d2", "d19"])
        #expect(
            try corpus.store.tokens(rowids: [9, 3]) == ["text 8", "text 2"].map { [7] + $0.utf8.map(Int32.init) })
        #expect(try corpus.store.sequences(rowids: []).isEmpty)
        for bad in [0, 21, -1, Int64.max] as [Int64] {
            #expect(throws: CorpusError.unknownRowid(bad, count: 20)) { try corpus.store.sequences(rowids: [1, bad]) }
            #expect(throws: CorpusError.unknownRowid(bad, count: 20)) { try corpus.store.tokens(rowids: [bad]) }
        }
    }

    @Test("are handed over in batches, in the order of rowids, of all or of one source", arguments: [1, 3, 7, 100])
    func batches(size: Int) throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        let lines = (0..<10).map { jsonLine(id: "d\($0)", text: "text \($0)", more: ", \"source\": \"s\($0 % 3)\"") }
        try corpus.add(lines.joined())

        var rowids: [Int64] = []
        var sizes: [Int] = []
        try corpus.store.forEachBatch(of: size) { batch in
            rowids += batch.map(\.rowid)
            sizes.append(batch.count)
        }
        #expect(rowids == Array(1...20))
        #expect(sizes.dropLast().allSatisfy { $0 == size })

        var names: [String] = []
        try corpus.store.forEachBatch(of: size, source: "s1") { names += $0.map(\.id) }
        #expect(names == ["d1#0", "d1#1", "d4#0", "d4#1", "d7#0", "d7#1"])
        try corpus.store.forEachBatch(of: size, source: "none") { _ in Issue.record("there is nothing") }
    }

    @Test("are counted by source")
    func sources() throws {
        let corpus = try TestCorpus(sequenceLength: 4)
        try corpus.add(
            jsonLine(text: "abcde", more: ", \"source\": \"b\"") + jsonLine(text: "x", more: ", \"source\": \"a\"")
                + jsonLine(text: "y") + jsonLine(text: "z", more: ", \"source\": \"b\""))
        let sources = try corpus.store.sources()
        #expect(sources.map(\.source) == ["a", "b"])
        #expect(sources.map(\.sequences) == [1, 3])
        #expect(try corpus.store.rowids(source: "b") == [1, 2, 5])
        #expect(try corpus.store.sequences(rowids: [4]).first?.source == nil)
    }
}
