import ArgumentParser
import Attribution
import Limits
import LinearAlgebra

struct PrecisionOptions: ParsableArguments {
    @Option(
        help: """
            The precision of a sweep's products: fp32, or bf16, which is faster on some processors and not supported by \
            others (`tributary inspect` measures both). The best candidates are scored again in fp32. (default: fp32)
            """)
    var precision: SweepPrecision?

    var value: SweepPrecision { precision ?? .float32 }
}

extension SweepPrecision: ExpressibleByArgument {}

struct WorkerOptions: ParsableArguments {
    @Option(help: "How many threads compute. (default: one per core)")
    var workers: Int?

    var value: Workers { workers.map { Workers(count: $0) } ?? Workers() }

    func validate() throws {
        try Workers.limit.check(workers, of: "--workers")
    }
}

extension Limit {
    /// Refuses a value that an option cannot have, in the same words as the server.
    ///
    /// - Parameters:
    ///   - value: `nil` for an option that was not given.
    ///   - name: The option's name, with its dashes.
    func check(_ value: Value?, of name: String) throws {
        guard let value, let refusal = refusal(of: value) else { return }
        throw ValidationError("\(name): \(refusal)")
    }

    func check(each values: [Value], of name: String) throws {
        for value in values { try check(value, of: name) }
    }
}
