import Curvature
import Synchronization
import TestSupport
import Testing

@testable import Attribution

@Suite("Sequences that are added to an engine's corpus")
struct SequenceIngestionTests {
    private let tiny: TinyEngine
    private let query = InfluenceQuery(prompt: "In the beginning God created", completion: " the heaven", topK: 5)

    private var engine: InfluenceEngine { tiny.engine }

    init() throws {
        tiny = try TinyEngine(texts: 0, sequenceLength: 64)
        try add("{\"id\": \"first\", \"text\": \"In the beginning was the word\"}")
    }

    @discardableResult
    private func add(_ lines: String) throws -> IngestionSummary {
        try engine.ingest(SequenceUpload(body: Array(lines.utf8), form: .lines, maximumRecords: 10))
    }

    @Test("are found, listed, counted and scored at once")
    func atOnce() throws {
        let summary = try add(
            """
            {"id": "new", "text": "God created the heaven", "source": "s", "metadata": {"n": 1}}
            {"id": "again", "text": "In the beginning was the word"}
            """)
        #expect(summary.added == 1)
        #expect(summary.duplicates == 1)
        #expect(summary.sequences == 1)
        #expect(summary.ids == ["new", "first"])
        #expect(summary.corpus.sequences == 2)
        #expect(try engine.search("heaven", limit: 5).map(\.sequence.id) == ["new"])
        #expect(try engine.sequence("new")?.metadata == ["n": 1])
        #expect(try engine.describe().corpus == summary.corpus)
        let first = try engine.sequences(after: 0, source: nil, limit: 1)
        #expect(first.sequences.map(\.id) == ["first"])
        let second = try engine.sequences(after: try #require(first.next), source: nil, limit: 1)
        #expect(second.sequences.map(\.id) == ["new"])
        #expect(second.next == nil)
        #expect(try engine.sequences(after: 0, source: "s", limit: 5).sequences.map(\.id) == ["new"])

        let before = try engine.measurements()
        let result = try tiny.answer(query)
        #expect(result.candidates.corpusSequences == 2)
        #expect(result.candidates.considered == 2)
        let after = try engine.measurements()
        #expect(after.sweptSequences - before.sweptSequences >= 2)
        #expect(after.sweptTokens - before.sweptTokens > after.sweptSequences)
    }

    @Test("while a sweep runs are for the next one")
    func duringSweep() throws {
        let hasAdded = Mutex(false)
        let failure = Mutex<(any Error)?>(nil)
        var whole = query
        whole.candidates.prefilter = .all
        var control = WorkControl<InfluenceProgress>()
        control.progress = { progress in
            guard progress.stage == .candidates, progress.done == 0, !hasAdded.withLock({ $0 }) else { return }
            hasAdded.withLock { $0 = true }
            do { try add("{\"text\": \"God created the heaven\"}") } catch { failure.withLock { $0 = error } }
        }
        let results = engine.answer([query, whole], control: control)
        #expect(hasAdded.withLock { $0 })
        #expect(failure.withLock { $0 } == nil)
        for result in results {
            #expect(try result.get().candidates.corpusSequences == 1)
            #expect(try result.get().candidates.considered == 1)
        }
        #expect(try engine.measurements().corpus.sequences == 2)
    }

    @Test("are refused as a whole, with the line and the field at fault")
    func refused() throws {
        #expect(throws: IngestionError.self) { try add("{\"text\": \"good\"}\n{\"text\": \"\"}") }
        do {
            try add("{\"text\": \"good\"}\n\n{\"text\": 1}")
        } catch let IngestionError.unusable(line, field, reason) {
            #expect(line == 3)
            #expect(field == "text")
            #expect(reason.contains("a number"))
        }
        do {
            try add("{\"text\": \"good\"}\n{")
        } catch let IngestionError.malformed(line, _) {
            #expect(line == 2)
        }
        #expect(throws: IngestionError.tooManyRecords(limit: 10)) {
            try add(String(repeating: "{\"text\": \"good\"}\n", count: 11))
        }
        #expect(try engine.measurements().corpus.documents == 1)
    }
}
