import Corpus
import Foundation

// The term index on its own, for scripts/bench/terms.
//
//     TermSearch import FOLDER FILE.jsonl    documents whose text is token ids, one sequence each
//     TermSearch search FOLDER               one query per line from standard input: LIMIT SOURCE COUNT TOKEN ..., with - for no source
//                                            or count; answers with two lines: MILLISECONDS and the scores' bits, then the rowids

@main
struct TermSearch {
    static func main() throws {
        let arguments = CommandLine.arguments
        let tokenization = CorpusTokenization(tokenizerDigest: "numbers", sequenceLength: 4096) { text in
            text.split(separator: " ").compactMap { Int32($0) }
        }
        let store = try CorpusStore(folder: URL(fileURLWithPath: arguments[2]), tokenization: tokenization)
        if arguments[1] == "import" {
            let summary = try CorpusImport(into: store).run([.file(arguments[3])])
            print(summary.sequences)
            return
        }
        let clock = ContinuousClock()
        while let line = readLine() {
            let fields = line.split(separator: " ")
            let tokens = fields.dropFirst(3).compactMap { Int32($0) }
            let source = fields[1] == "-" ? nil : String(fields[1])
            var matches: [TermIndex.Match] = []
            let time = try clock.measure {
                matches = try store.termIndex.search(
                    queryTokens: tokens, limit: Int(fields[0]) ?? 1, source: source, asOf: Int(fields[2]))
            }
            print(time / .milliseconds(1), matches.map { String($0.score.bitPattern) }.joined(separator: " "))
            print(matches.map { String($0.rowid) }.joined(separator: " "))
            fflush(nil)
        }
    }
}
