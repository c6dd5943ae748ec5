import Foundation
import LinearAlgebra
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Curvature

@Suite("The state of a fit")
struct FitStateTests {
    private let checkpoint: Checkpoint
    private let sequences: [[Int32]]
    private let folder: TemporaryFolder
    private var state: String { folder.path("state.safetensors") }
    private var factors: String { folder.path("factors") }

    init() throws {
        let oracle = Oracle.all[1]
        checkpoint = try oracle.checkpoint()
        sequences = Array(try oracle.sequences().prefix(24))
        folder = try TemporaryFolder()
    }

    private func fit(seed: UInt64 = 1) -> FactorFit {
        FactorFit(
            decoder: checkpoint.decoder, modelDigest: checkpoint.digest, source: .init(sequences), seed: seed,
            workers: Workers(count: 2), batchTokens: 128, saveInterval: 0)
    }

    /// Interrupts a fit, so that its state is saved.
    ///
    /// - Parameter rounds: The number of rounds before the interruption. The last stage begins after three.
    private func interrupt(_ fit: FactorFit, after rounds: Int = 4) {
        let asked = Atomic<Int>(0)
        #expect(throws: FitError.self) {
            try fit.run(statePath: state, isCancelled: { asked.add(1, ordering: .relaxed).newValue == rounds })
        }
        #expect(exists(state))
    }

    /// Fits, and returns the warnings and the point from which the fit started.
    private func run(
        _ fit: FactorFit
    ) throws -> (factors: EKFACFactors, warnings: [FitWarning], first: FactorFit.Progress?) {
        var warnings: [FitWarning] = []
        var first: FactorFit.Progress?
        let factors = try fit.run(
            into: factors, statePath: state, progress: { first = first ?? $0 }, warn: { warnings.append($0) })
        return (factors, warnings, first)
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private func write(_ data: Data) throws { try data.write(to: URL(fileURLWithPath: state)) }

    private func expectFreshStart() throws {
        let (factors, warnings, first) = try run(fit())
        #expect(warnings == [.stateDamaged(path: state)])
        #expect(first?.stage == .covariances && first?.done == 0)
        #expect(factors.isIdentical(to: try fit().run()))
        #expect(exists(self.factors) && !exists(state))
    }

    @Test("goes only when the factors are written")
    func order() throws {
        interrupt(fit())
        let saved = try bytes(state)
        // A file at the factors' path keeps them from being written.
        try Data("in the way".utf8).write(to: URL(fileURLWithPath: factors))
        let error = #expect(throws: FitError.self) { try run(fit()) }
        guard case .factorsNotWritten(let reason, statePath: state) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains(factors))
        #expect(error?.description.contains("run the same command again") == true)
        #expect(exists(state))
        try FileManager.default.removeItem(atPath: factors)
        try write(saved)

        let (fitted, warnings, first) = try run(fit())
        #expect(first?.stage == .eigenvalues)
        #expect(warnings == [])
        #expect(fitted.isIdentical(to: try fit().run()))
        #expect(exists(factors) && !exists(state))
    }

    @Test("that cannot be saved is told of once, and the fit goes on without it")
    func unsaved() throws {
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
        let (fitted, warnings, _) = try run(fit())
        #expect(warnings.count == 2)
        guard case .stateUnreadable = warnings.first, case .stateNotSaved = warnings.last else {
            Issue.record("\(warnings)")
            return
        }
        #expect(fitted.isIdentical(to: try fit().run()))
    }

    @Test("that cannot be saved at an interruption is not promised")
    func interruptedUnsaved() throws {
        let missing = folder.path("missing/state.safetensors")
        let error = #expect(throws: FitError.self) { try fit().run(statePath: missing, isCancelled: { true }) }
        guard case .interruptedUnsaved = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("leaves space for the factors, unless the fit ends with it")
    func space() throws {
        let identity = try fit().run().provenance
        let saved = FitState(
            path: state, identity: identity, tracked: TrackedLayers(of: checkpoint.decoder), workers: 1)
        var keeper = FitStateKeeper(saved, factorBytes: 1 << 60)
        var warnings: [FitWarning] = []
        let taps = [CovarianceTap(TrackedLayers(of: checkpoint.decoder))]
        func save(isLast: Bool) -> String? {
            keeper.save({ $0.contents(covariances: taps, next: 0) }, isLast: isLast, warn: { warnings.append($0) })
        }
        #expect(save(isLast: false) != nil && save(isLast: false) != nil)
        #expect(!exists(state) && !keeper.isKept)
        #expect(warnings.count == 1)
        guard case .noSpaceForState(path: state, _, _) = warnings.first else {
            Issue.record("\(warnings)")
            return
        }
        #expect(save(isLast: true) == nil)
        #expect(exists(state) && keeper.isKept)
    }

    @Test("is not used where any bit of it has changed, and the fit starts again", arguments: [2, 4], 0..<4)
    func flippedBit(rounds: Int, part: Int) throws {
        interrupt(fit(), after: rounds)
        var data = try bytes(state)
        // In the header, the first and the last tensors, and the checksum.
        let offset = [
            100, 8 + Int(data.prefix(2).reversed().reduce(0) { $0 << 8 | Int($1) }) + 100, data.count - 60,
            data.count - 1,
        ]
        data[offset[part]] ^= 0x10
        try write(data)
        try expectFreshStart()
    }

    @Test("is not used where values are not numbers, or it is cut short or empty", arguments: 0..<3)
    func damage(kind: Int) throws {
        interrupt(fit())
        var data = try bytes(state)
        switch kind {
        case 0: data.replaceSubrange((data.count - 48)..<(data.count - 40), with: [0, 0, 0, 0, 0, 0, 0xF8, 0x7F])
        case 1: data.removeLast(1_000)
        default: data = Data()
        }
        try write(data)
        try expectFreshStart()
    }

    @Test("of another fit, or without a checksum, is replaced and not used")
    func ofAnotherFit() throws {
        interrupt(fit(seed: 9))
        #expect(try run(fit()).warnings == [.stateOfAnotherFit(path: state)])
        interrupt(fit())
        try SafetensorsWriter(metadata: try SafetensorsFile(path: state).metadata).write(to: state)
        let (factors, warnings, _) = try run(fit())
        #expect(warnings == [.stateOfAnotherFit(path: state)])
        #expect(factors.isIdentical(to: try fit().run()))
    }

    @Test("leaves nothing beside it when the fit is complete, also of one that was killed in a write")
    func leftovers() throws {
        try Data("half".utf8).write(
            to: URL(fileURLWithPath: folder.path(".state.safetensors.writing-\(UUID().uuidString)")))
        interrupt(fit())
        _ = try run(fit())
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["factors"])
    }
}
