import Synchronization

/// Counts what sweeps have scored. Workers add to it after each micro-batch.
public final class SweepTally: Sendable {
    private let sequenceCount = Atomic<Int>(0)
    private let tokenCount = Atomic<Int>(0)

    public init() {}

    public var sequences: Int { sequenceCount.load(ordering: .relaxed) }
    public var tokens: Int { tokenCount.load(ordering: .relaxed) }

    func add(sequences: Int, tokens: Int) {
        sequenceCount.add(sequences, ordering: .relaxed)
        tokenCount.add(tokens, ordering: .relaxed)
    }
}
