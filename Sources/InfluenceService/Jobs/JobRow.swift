import Attribution
import Foundation
import GRDB
import JSON

extension Job {
    /// Reads the columns of ``JobSchema/jobColumns``.
    init(row: Row, file: String) throws {
        guard let id = JobIdentifier(row["id"] as String), let status = Status(rawValue: row["status"]) else {
            throw JobStoreError.failed(file: file, reason: "job \(row["number"] as Int64) has no valid id or status")
        }
        self.init(
            id: id, status: status, isList: row["is_list"], queryCount: row["query_count"],
            title: (row["title"] as String?).flatMap { try? JSONDecoder().decode(JobTitle.self, from: Data($0.utf8)) },
            failedQueryCount: row["failed_query_count"], progress: nil, created: Date(milliseconds: row["created"]),
            started: (row["started"] as Int64?).map(Date.init(milliseconds:)),
            finished: (row["finished"] as Int64?).map(Date.init(milliseconds:)), attempts: row["attempts"],
            failure: try (row["failure"] as String?).map {
                try JSONDecoder().decode(QueryFailure.self, from: Data($0.utf8))
            },
            timings: try JSONDecoder().decode(JobTimings.self, from: Data((row["timings"] as String).utf8)))
        if let stage = (row["stage"] as String?).flatMap(InfluenceProgress.Stage.init(rawValue:)) {
            progress = InfluenceProgress(stage: stage, done: row["done"] ?? 0, total: row["total"] ?? 0)
        }
    }
}

extension QueryOutcome {
    init(row: Row) throws {
        let body: Data = row["body"]
        self =
            if row["succeeded"] { .result(body) } else {
                .failure(try JSONDecoder().decode(QueryFailure.self, from: body))
            }
    }

    var isSuccess: Bool {
        if case .result = self { true } else { false }
    }

    var failure: QueryFailure? {
        if case .failure(let failure) = self { failure } else { nil }
    }

    func body() throws -> Data {
        switch self {
        case .result(let data): data
        case .failure(let failure): try JSONEncoder().encode(failure)
        }
    }
}
