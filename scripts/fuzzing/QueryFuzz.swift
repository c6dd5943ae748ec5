// Fed by libFuzzer with bodies as a client could post them. The reader must not crash, and what it accepts must stay the same when it
// is written and read again, and so must the queries that are decoded from it.

import Foundation

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzQuery(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    let tree: JSONTree
    do {
        tree = try JSONReader.read(bytes)
    } catch {
        precondition(error.line >= 1 && error.column >= 1 && !error.reason.isEmpty)
        return 0
    }
    guard let again = try? JSONReader.read(Array(tree.text.utf8)) else { preconditionFailure("written, it is no JSON") }
    precondition(again == tree, "written and read, it is another value")
    do {
        let limit = Configuration.Jobs().queriesPerRequest
        let request = try InfluenceRequest(tree, defaults: Configuration.Query(), limit: limit)
        for query in request.queries {
            let text = try JSONEncoder().encode(query)
            let again = try JSONReader.read(Array(text)).decoded(as: InfluenceQuery.self)
            precondition(again == query, "encoded and decoded, it is another query")
        }
    } catch let problem as Problem {
        precondition(!problem.reason.isEmpty)
    } catch {
        preconditionFailure("\(error)")
    }
    return 0
}

// In place of the parts of the service that decoding touches and that need the rest of it.

struct Problem: Error {
    var field: String
    var reason: String

    static func unusableField(_ field: String, _ reason: String) -> Problem { Problem(field: field, reason: reason) }
}

enum Configuration {
    struct Query {
        var topK = 20
        var candidateLimit = 1_000
        var rank = 32
        var rescore = 100
        var maximumTexts = 100
        var maximumTextBytes = 65_536
    }

    struct Jobs {
        var maximumQueriesPerRequest = 1_000
    }
}

enum InfluenceResult {}
