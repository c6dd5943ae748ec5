import Attribution
import Foundation
import JSON

struct QueryFailure: Sendable, Equatable, Codable {
    var kind: Kind
    var detail: String
    /// The path of the field that is at fault.
    var field: String?

    enum Kind: String, Sendable, Codable {
        case unusable
        case cancelled
        /// Something on the server's side failed.
        case failed
        /// The server died each time the job ran.
        case abandoned
    }

    init(kind: Kind, detail: String, field: String? = nil) {
        self.kind = kind
        // It can quote the query, which can be long.
        self.detail = detail.cut(toBytes: Self.detailBytes)
        self.field = field
    }

    static let detailBytes = 4_096

    /// The failure of a job whose queries this version refuses or cannot read.
    init(ofUnusableJob error: any Error) {
        var reason = "\(error)"
        if case .dataCorrupted(let context) = error as? DecodingError {
            let field = JSONTree.text(of: context.codingPath)
            reason = field.isEmpty ? context.debugDescription : "\(field): \(context.debugDescription)"
        }
        self.init(
            kind: .failed,
            detail: "another version of the server accepted the job, and this one cannot run it: \(reason). "
                + "Post it again")
    }

    init(_ error: QueryError) {
        switch error {
        case .unusable(let field, let reason): self.init(kind: .unusable, detail: reason, field: field)
        case .cancelled: self.init(kind: .cancelled, detail: error.description)
        case .failed(let reason): self.init(kind: .failed, detail: reason)
        }
    }
}

/// The outcomes of one sweep for one job.
struct JobOutcomes: Sendable {
    var id: JobIdentifier
    /// By the query's index in the request.
    var outcomes: [Int: QueryOutcome]
    /// The scores of all candidates, of the queries that ask for them.
    var allScores: [Int: CandidateScores] = [:]
    var seconds: [InfluenceProgress.Stage: Double]

    mutating func take(_ answer: Result<InfluenceResult, QueryError>, at position: Int) {
        outcomes[position] = QueryOutcome(answer)
        if case .success(let result) = answer { allScores[position] = result.allScores }
    }
}

enum QueryOutcome: Sendable, Equatable {
    /// An ``InfluenceResult`` as JSON.
    case result(Data)
    case failure(QueryFailure)
}

extension QueryOutcome {
    init(_ answer: Result<InfluenceResult, QueryError>) {
        switch answer {
        case .success(let result):
            do {
                self = .result(try result.json())
            } catch {
                // JSON has no infinity and no NaN.
                self = .failure(QueryFailure(kind: .failed, detail: "the result cannot be written as JSON: \(error)"))
            }
        case .failure(let error):
            self = .failure(QueryFailure(error))
        }
    }
}

extension InfluenceResult {
    /// The result as JSON, encoded sequence by sequence, because the encoder's tree takes many times the memory of the value.
    func json() throws -> Data {
        var frame = self
        frame.sequences = []
        let text = try jsonText(frame)
        // Within a text, the quotes have backslashes; and no other list has this name.
        guard let range = text.range(of: "\"sequences\":[]") else { return Data(try jsonText(self).utf8) }
        var json = Data(text[..<range.lowerBound].utf8)
        json.append(contentsOf: "\"sequences\":[".utf8)
        for (position, sequence) in sequences.enumerated() {
            if position > 0 { json.append(0x2C) }
            json.append(contentsOf: try jsonText(sequence).utf8)
        }
        json.append(contentsOf: "]".utf8)
        json.append(contentsOf: text[range.upperBound...].utf8)
        return json
    }
}
