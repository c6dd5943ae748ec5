/// Everything that is done to a slice of records before it is written: parsing, hashing and tokenising, on all cores.
struct SlicePreparation {
    let settings: CorpusImport

    struct Prepared {
        /// The good records, in their order; if bad ones are not skipped, those before the first bad one.
        var documents: [PreparedDocument] = []

        /// What is wrong with the bad ones.
        var failures: [CorpusImportError] = []
    }

    private struct ParsedRecord: Sendable {
        let record: CorpusRecord
        let hash: ContentHash
    }

    private typealias Outcome<Value> = Result<Value, CorpusImportError>

    func prepare(_ slice: [RawRecord]) throws -> Prepared {
        let defaultSource = settings.defaultSource
        let parsed = concurrentMap(slice) { raw in
            Outcome<ParsedRecord> { () throws(CorpusImportError) in
                var record = try CorpusRecord(raw)
                record.source = record.source ?? defaultSource
                return ParsedRecord(record: record, hash: ContentHash(of: record.text))
            }
        }
        var prepared = Prepared()
        let good = takeGood(parsed, failures: &prepared.failures)

        // Texts that are there already need not be tokenised: this is what makes resuming fast.
        let known = try settings.store.documents(withHashes: good.map(\.hash))
        let encode = settings.store.tokenization.encode
        let documents = concurrentMap(good) { parsed in
            Outcome<PreparedDocument> { () throws(CorpusImportError) in
                if let document = known[parsed.hash] {
                    return PreparedDocument(
                        record: parsed.record, hash: parsed.hash, content: .known(document: document))
                }
                do {
                    let tokens = try encode(parsed.record.text)
                    return PreparedDocument(record: parsed.record, hash: parsed.hash, content: .tokens(tokens))
                } catch {
                    throw .untokenizable(location: parsed.record.location, reason: String(describing: error))
                }
            }
        }
        var tokenizationFailures: [CorpusImportError] = []
        prepared.documents = takeGood(documents, failures: &tokenizationFailures)
        // A text that cannot be tokenised comes before the line at which parsing stopped.
        prepared.failures.insert(contentsOf: tokenizationFailures, at: 0)
        return prepared
    }

    private func takeGood<Value>(_ outcomes: [Outcome<Value>], failures: inout [CorpusImportError]) -> [Value] {
        var good: [Value] = []
        for outcome in outcomes {
            switch outcome {
            case .success(let value): good.append(value)
            case .failure(let error):
                failures.append(error)
                if settings.badRecords == .stop { return good }
            }
        }
        return good
    }
}
