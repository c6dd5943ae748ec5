import Foundation
import LinearAlgebra
import Sequences
import Testing

@testable import Transformer

@Suite("Training")
struct TrainerTests {
    private let scratch: SafetensorsScratch

    init() throws {
        scratch = try SafetensorsScratch()
    }

    private static var configuration: TrainingConfiguration {
        var configuration = TrainingConfiguration()
        configuration.vocabulary = 24
        configuration.sequenceLength = 12
        configuration.width = 16
        configuration.layers = 2
        configuration.heads = 4
        configuration.keyValueHeads = 2
        configuration.feedForwardWidth = 24
        configuration.batchSequences = 4
        configuration.epochs = 20
        configuration.learningRate = 1e-2
        configuration.seed = 7
        return configuration
    }

    /// Eleven sequences that count up from different tokens: the last batch of an epoch has three.
    private static let sequences: [TrainingSequence] = (0..<11).map { start in
        TrainingSequence(tokens: (0..<12).map { Int32((start + $0) % 24) })
    }

    private func trainer(
        _ configuration: TrainingConfiguration = configuration, _ sequences: [TrainingSequence] = sequences,
        workers: Int = 2
    ) throws -> Trainer {
        try Trainer(configuration, sequences: sequences, workers: Workers(count: workers))
    }

    private func advance(_ trainer: inout Trainer, steps: Int = .max) throws {
        var taken = 0
        while taken < steps, try trainer.advance() != nil { taken += 1 }
    }

    private func bytes(_ decoder: DecoderModel) throws -> [Data] {
        try decoder.namedParameters().map { $0.values.bytes(as: .float32) }
    }

    @Test("lowers the loss from that of chance to that of a text learnt")
    func lossFalls() throws {
        var trainer = try trainer()
        #expect(abs(try trainer.meanLoss(of: Self.sequences) - log(24)) < 0.1)
        var losses: [Double] = []
        while let progress = try trainer.advance() {
            losses.append(progress.loss)
            #expect(progress.step == losses.count)
            #expect(progress.totalSteps == 60)
            #expect(progress.epoch == (losses.count - 1) / 3)
            #expect(progress.tokens == (losses.count % 3 == 0 ? 36 : 48))
        }
        #expect(losses.count == 60)
        #expect(abs(losses[0] - log(24)) < 0.1)
        #expect(try trainer.meanLoss(of: Self.sequences) < 0.5)
        #expect(try trainer.advance()?.step == nil)
    }

    @Test("raises the learning rate during warm-up and lowers it to its end along a cosine")
    func learningRates() throws {
        var configuration = Self.configuration
        configuration.warmupShare = 0.1
        configuration.finalLearningRateShare = 0.25
        var trainer = try trainer(configuration)
        var rates: [Double] = []
        while let progress = try trainer.advance() { rates.append(progress.learningRate / configuration.learningRate) }
        for step in 1...6 { #expect(abs(rates[step - 1] - Double(step) / 6) < 1e-12) }
        // Halfway between the sixth and the sixtieth step the cosine is halfway between the highest and the last.
        #expect(abs(rates[32] - 0.625) < 1e-12)
        #expect(abs(rates[59] - 0.25) < 1e-12)
        #expect(zip(rates[5...], rates[6...]).allSatisfy { $0 > $1 })
    }

    @Test("gives the same weights bit for bit for the same seed, and others for another", arguments: [1, 2])
    func sameSeed(workers: Int) throws {
        var first = try trainer(workers: workers)
        var second = try trainer(workers: workers)
        try advance(&first, steps: 20)
        try advance(&second, steps: 20)
        #expect(try bytes(first.decoder) == bytes(second.decoder))
        var configuration = Self.configuration
        configuration.seed = 8
        var other = try trainer(configuration, workers: workers)
        #expect(try bytes(other.decoder) != bytes(trainer().decoder))
        try advance(&other, steps: 20)
        #expect(try bytes(other.decoder) != bytes(first.decoder))
    }

    @Test("depends on the number of workers by no more than rounding")
    func workers() throws {
        var one = try trainer(workers: 1)
        var three = try trainer(workers: 3)
        try advance(&one, steps: 3)
        try advance(&three, steps: 3)
        for (a, b) in zip(try one.decoder.namedParameters(), try three.decoder.namedParameters()) {
            let worst = zip(a.values.elements, b.values.elements).map { abs($0 - $1) }.max() ?? 0
            #expect(worst < 1e-3, "\(a.name)")
        }
    }

    @Test("goes on after an interruption as if there had been none", arguments: [0, 1, 3, 20, 60])
    func resumption(interruptedAfter steps: Int) throws {
        var uninterrupted = try trainer()
        try advance(&uninterrupted)
        var interrupted = try trainer()
        try advance(&interrupted, steps: steps)
        let path = scratch.path("state.safetensors")
        try interrupted.save(to: path)
        var resumed = try trainer()
        try resumed.resume(from: path)
        #expect(resumed.step == steps)
        #expect(try bytes(resumed.decoder) == bytes(interrupted.decoder))
        try advance(&resumed)
        #expect(resumed.step == 60)
        #expect(try bytes(resumed.decoder) == bytes(uninterrupted.decoder))
    }

    @Test("is not resumed with other settings or another corpus, and stays as it was")
    func otherRun() throws {
        var saved = try trainer()
        try advance(&saved, steps: 2)
        let path = scratch.path("state.safetensors")
        try saved.save(to: path)

        var seed = Self.configuration
        seed.seed += 1
        var epochs = Self.configuration
        epochs.epochs += 1
        for configuration in [seed, epochs] {
            var trainer = try trainer(configuration)
            #expect(throws: TrainingError.otherRun(path: path, difference: "the configuration")) {
                try trainer.resume(from: path)
            }
            #expect(trainer.step == 0)
        }

        var changed = Self.sequences
        changed[3].tokens[4] = 1
        // The same token except for its upper half, and the same tokens cut differently.
        var distant = Self.sequences
        distant[0].tokens[0] += 1 << 16
        var cut = Self.sequences
        cut[0].tokens = Array(cut[0].tokens[..<6])
        cut.insert(TrainingSequence(tokens: Array(Self.sequences[0].tokens[6...])), at: 1)
        var unmasked = Self.sequences
        unmasked[0].loss = LossMask([5..<12])
        for sequences in [changed, distant, cut, unmasked, Self.sequences.reversed(), Self.sequences.dropLast()] {
            var trainer = try trainer(Self.configuration, sequences)
            #expect(throws: TrainingError.otherRun(path: path, difference: "the corpus")) {
                try trainer.resume(from: path)
            }
            #expect(trainer.step == 0)
        }
        let message = TrainingError.otherRun(path: path, difference: "the corpus").description
        #expect(message.contains(path) && message.contains("the corpus") && message.contains("--resume"))
    }

    @Test("is not resumed from a file that is no whole state, and stays as it was")
    func damagedState() throws {
        var saved = try trainer()
        try advance(&saved, steps: 2)
        let path = scratch.path("state.safetensors")
        try saved.save(to: path)
        let metadata = try SafetensorsFile(path: path).metadata
        let fresh = try bytes(trainer().decoder)
        func refused(_ expected: TrainingError?) throws {
            var trainer = try trainer()
            let error = #expect(throws: (any Error).self) { try trainer.resume(from: path) }
            if let expected { #expect(error as? TrainingError == expected) }
            #expect(trainer.step == 0)
            #expect(try bytes(trainer.decoder) == fresh)
        }
        for step in ["-1", "61", "two", ""] {
            var changed = metadata
            changed["step"] = step
            try SafetensorsWriter(metadata: changed).write(to: path)
            try refused(.otherRun(path: path, difference: "the format"))
        }
        // One bit of a moment, which no check of shapes would find.
        try saved.save(to: path)
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        data[data.count - 100] ^= 1
        try data.write(to: URL(fileURLWithPath: path))
        try refused(.damagedState(path: path))
        try data.prefix(data.count - 40).write(to: URL(fileURLWithPath: path))
        try refused(.damagedState(path: path))
        // The metadata is in order, but no parameter is there.
        try SafetensorsWriter(metadata: metadata).write(to: path)
        try refused(nil)
        try SafetensorsWriter().write(to: path)
        try refused(.otherRun(path: path, difference: "the configuration"))
        try FileManager.default.removeItem(atPath: path)
        try refused(nil)
    }

    @Test("leaves out sequences too short to predict anything, and does nothing without sequences")
    func shortSequences() throws {
        let short = [[], [3], [5]].map { TrainingSequence(tokens: $0) }
        let padded = short[..<2] + Self.sequences + short[2...]
        var trainer = try trainer(Self.configuration, Array(padded))
        #expect(trainer.stepsPerEpoch == 3)
        var plain = try self.trainer()
        try advance(&trainer, steps: 4)
        try advance(&plain, steps: 4)
        #expect(try bytes(trainer.decoder) == bytes(plain.decoder))
        #expect(try trainer.meanLoss(of: Array(padded)) == trainer.meanLoss(of: Self.sequences))
        var idle = try self.trainer(Self.configuration, Array(short[..<2]))
        #expect(idle.totalSteps == 0)
        #expect(try idle.advance()?.step == nil)
        #expect(try idle.meanLoss(of: []) == 0)
    }

    @Test("cuts gradients longer than the limit, and takes others as they are")
    func clipping() throws {
        func weights(clip: Double) throws -> [Data] {
            var configuration = Self.configuration
            configuration.gradientClip = clip
            // Without an epsilon of its own size, Adam would undo any scaling.
            configuration.epsilon = 1
            var trainer = try trainer(configuration)
            try advance(&trainer, steps: 2)
            return try bytes(trainer.decoder)
        }
        #expect(try weights(clip: 0) == weights(clip: 1e6))
        #expect(try weights(clip: 0) != weights(clip: 1e-3))
    }

    @Test("shrinks weights by the decay, but no gains")
    func weightDecay() throws {
        var configuration = Self.configuration
        configuration.weightDecay = 20
        configuration.warmupShare = 0
        var trainer = try trainer(configuration)
        let before = try trainer.decoder.namedParameters()
        try advance(&trainer, steps: 1)
        // One step of Adam moves an entry by at most the learning rate, 0.01; the decay takes a fifth.
        for (old, new) in zip(before, try trainer.decoder.namedParameters()) {
            let isGain = old.shape.count == 1
            for (a, b) in zip(old.values.elements, new.values.elements) {
                #expect(abs(b - (isGain ? a : 0.8 * a)) < 0.0101, "\(old.name)")
            }
            if !isGain { #expect(new.values.elements != old.values.elements) }
        }
    }

    @Test("measures the norm of gradients alike in every run: name by name")
    func normOrder() throws {
        let decoder = try ModelFixture(name: "gpt2").decoder()
        for seed in 0..<20 as Range<Int32> {
            var batch = TokenBatch()
            batch.append([seed, 17, 3, seed + 1, 40])
            var workspace = DecoderWorkspace()
            var tap = ParameterGradients(of: decoder)
            decoder.run(batch, in: &workspace, tracked: TrackedLayers(of: decoder, .all), tap: &tap)
            let names = tap.gradients.keys.sorted()
            let sum = names.reduce(0) { $0 + (tap.gradients[$1]?.squaredNorm ?? 0) }
            #expect(tap.norm == sum.squareRoot())
        }
    }

    @Test("refuses settings that no model can have, by name")
    func unusableSettings() {
        #expect(TrainingConfiguration().problem == nil)
        func problem(_ change: (inout TrainingConfiguration) -> Void) -> String {
            var configuration = TrainingConfiguration()
            change(&configuration)
            return configuration.problem ?? ""
        }
        #expect(problem { $0.heads = 0 }.hasPrefix("heads:"))
        #expect(problem { $0.heads = -6 }.hasPrefix("heads:"))
        #expect(problem { $0.heads = 5 }.hasPrefix("heads:"))
        #expect(problem { $0.heads = 64 }.contains("width of a head even"))
        #expect(problem { $0.keyValueHeads = 0 }.hasPrefix("key_value_heads:"))
        #expect(problem { $0.keyValueHeads = 4 }.hasPrefix("key_value_heads:"))
        #expect(problem { $0.width = 0 }.hasPrefix("width:"))
        #expect(problem { $0.width = .max }.hasPrefix("width:"))
        #expect(problem { $0.vocabulary = 256 }.hasPrefix("vocabulary: expected a whole number from 257"))
        #expect(problem { $0.sequenceLength = 1 }.hasPrefix("sequence_length:"))
        #expect(problem { $0.layers = 0 }.hasPrefix("layers:"))
        #expect(problem { $0.feedForwardWidth = 0 }.hasPrefix("feed_forward_width:"))
        #expect(problem { $0.batchSequences = 0 }.hasPrefix("batch_sequences:"))
        #expect(problem { $0.epochs = .max }.hasPrefix("epochs:"))
        for value in [0, -1, .nan, .infinity] {
            #expect(problem { $0.learningRate = value }.hasPrefix("learning_rate:"))
            #expect(problem { $0.epsilon = value }.hasPrefix("epsilon:"))
        }
        for value in [-0.1, 1.5, .nan, .infinity] {
            #expect(problem { $0.warmupShare = value }.hasPrefix("warmup_share:"))
            #expect(problem { $0.finalLearningRateShare = value }.hasPrefix("final_learning_rate_share:"))
            #expect(problem { $0.beta1 = value }.hasPrefix("beta1:"))
            #expect(problem { $0.beta2 = value }.hasPrefix("beta2:"))
        }
        for value in [-0.1, .nan, .infinity] {
            #expect(problem { $0.weightDecay = value }.hasPrefix("weight_decay:"))
            #expect(problem { $0.gradientClip = value }.hasPrefix("gradient_clip:"))
        }
    }

    @Test("reads the settings it is given and keeps the others")
    func settings() throws {
        let json = #"{"width": 64, "learning_rate": 0.5, "key_value_heads": 1}"#
        let configuration = try JSONDecoder().decode(TrainingConfiguration.self, from: Data(json.utf8))
        var expected = TrainingConfiguration()
        expected.width = 64
        expected.learningRate = 0.5
        expected.keyValueHeads = 1
        #expect(configuration == expected)
        let copy = try JSONDecoder().decode(TrainingConfiguration.self, from: JSONEncoder().encode(expected))
        #expect(copy == expected)
        #expect(TrainingConfiguration.keys.contains("final_learning_rate_share"))
    }
}
