import Files
import Foundation
import LinearAlgebra
import Sequences

/// Trains a decoder with AdamW, warm-up and cosine decay.
///
/// With the same configuration, corpus and number of workers, two runs give the same weights bit for bit, even if one of them was
/// interrupted and resumed.
public struct Trainer {
    public let configuration: TrainingConfiguration
    public private(set) var decoder: DecoderModel
    /// The number of steps taken.
    public private(set) var step = 0
    private let sequences: [TrainingSequence]
    private let workers: Workers
    private var firstMoments: [String: Matrix] = [:]
    private var secondMoments: [String: Matrix] = [:]
    private let slots: [WorkerSlot<WorkerState>]

    private struct WorkerState: Sendable {
        var workspace = DecoderWorkspace()
        var gradients: ParameterGradients
    }

    /// The outcome of a step.
    public struct Progress: Sendable {
        public let step: Int
        public let totalSteps: Int
        public let epoch: Int
        /// The mean loss of the step's sequences, in nats per token.
        public let loss: Double
        public let learningRate: Double
        public let tokens: Int
    }

    /// - Parameter sequences: Sequences of 2 to `sequenceLength` token ids within the vocabulary; those without loss are left out.
    public init(_ configuration: TrainingConfiguration, sequences: [TrainingSequence], workers: Workers) throws {
        self.configuration = configuration
        self.sequences = sequences.filter { $0.lossTokens > 0 }
        self.workers = workers
        let decoder = try DecoderModel(initializing: configuration.description, seed: configuration.seed)
        self.decoder = decoder
        let gradients = ParameterGradients(of: decoder)
        firstMoments = gradients.gradients
        secondMoments = gradients.gradients
        slots = (0..<workers.count).map { _ in WorkerSlot(WorkerState(gradients: gradients)) }
    }

    public var stepsPerEpoch: Int {
        (sequences.count + configuration.batchSequences - 1) / configuration.batchSequences
    }

    public var totalSteps: Int { stepsPerEpoch * configuration.epochs }

    /// Takes the next step.
    ///
    /// - Returns: Nil if all steps have been taken.
    public mutating func advance() throws -> Progress? {
        guard step < totalSteps else { return nil }
        let epoch = step / stepsPerEpoch
        let first = step % stepsPerEpoch * configuration.batchSequences
        let order = order(of: epoch)
        let chosen = order[first..<min(first + configuration.batchSequences, order.count)].map { sequences[$0] }
        let (gradients, loss, tokens) = try gradients(of: chosen)
        step += 1
        let rate = learningRate(at: step)
        update(with: gradients, tokens: tokens, learningRate: rate)
        return Progress(
            step: step, totalSteps: totalSteps, epoch: epoch, loss: loss / Double(max(tokens, 1)), learningRate: rate,
            tokens: chosen.reduce(0) { $0 + $1.count })
    }

    /// The mean loss of sequences, in nats per predicted token.
    public func meanLoss(of sequences: [TrainingSequence]) throws -> Double {
        let decoder = decoder
        let chunks = sequences.filter { $0.lossTokens > 0 }.chunks(of: configuration.batchSequences)
        let sums = try workers.map(chunks.indices) { _, index in
            var batch = TokenBatch()
            for sequence in chunks[index] { batch.append(sequence) }
            var workspace = DecoderWorkspace()
            let losses = decoder.losses(of: batch, in: &workspace)
            return (losses.sum(over: 0..<batch.tokens.count), batch.lossPositions.count)
        }
        let predicted = sums.reduce(0) { $0 + $1.1 }
        return sums.reduce(0) { $0 + $1.0 } / Double(max(predicted, 1))
    }

    private func gradients(of chosen: [TrainingSequence]) throws -> (ParameterGradients, loss: Double, tokens: Int) {
        let decoder = decoder
        let tracked = TrackedLayers(of: decoder, .all)
        let slots = slots
        let workerCount = workers.count
        let partials = try workers.run { worker in
            var batch = TokenBatch()
            for index in stride(from: worker, to: chosen.count, by: workerCount) { batch.append(chosen[index]) }
            return slots[worker].withState { state in
                state.gradients.reset()
                guard !batch.tokens.isEmpty else { return (state.gradients, 0.0, 0) }
                let losses = decoder.run(batch, in: &state.workspace, tracked: tracked, tap: &state.gradients)
                return (state.gradients, losses.sum(over: 0..<batch.tokens.count), batch.lossPositions.count)
            }
        }
        var total = partials[0]
        for partial in partials.dropFirst() {
            total.0.merge(partial.0)
            total.1 += partial.1
            total.2 += partial.2
        }
        return (total.0, total.1, total.2)
    }

    private mutating func update(with gradients: ParameterGradients, tokens: Int, learningRate: Double) {
        var scale = 1 / Double(max(tokens, 1))
        let norm = gradients.norm * scale
        if configuration.gradientClip > 0, norm > configuration.gradientClip {
            scale *= configuration.gradientClip / norm
        }
        var first = [String: Matrix]()
        var second = [String: Matrix]()
        swap(&first, &firstMoments)
        swap(&second, &secondMoments)
        let settings = configuration
        let step = step
        decoder.updateParameters { name, parameter in
            guard let gradient = gradients.gradients[name], var mean = first.removeValue(forKey: name),
                var square = second.removeValue(forKey: name)
            else { return }
            parameter.applyAdamW(
                gradient: gradient, firstMoment: &mean, secondMoment: &square, learningRate: Float(learningRate),
                beta1: Float(settings.beta1), beta2: Float(settings.beta2), step: step,
                epsilon: Float(settings.epsilon),
                // Gains and biases, which have one row, have no weight decay.
                weightDecay: parameter.rows == 1 ? 0 : Float(settings.weightDecay), gradientScale: Float(scale))
            first[name] = mean
            second[name] = square
        }
        firstMoments = first
        secondMoments = second
    }

    private func learningRate(at step: Int) -> Double {
        let warmup = max(1, Int(Double(totalSteps) * configuration.warmupShare))
        if step <= warmup { return configuration.learningRate * Double(step) / Double(warmup) }
        let done = Double(step - warmup) / Double(max(1, totalSteps - warmup))
        let share = configuration.finalLearningRateShare
        return configuration.learningRate * (share + (1 - share) * 0.5 * (1 + cos(.pi * done)))
    }

    private func order(of epoch: Int) -> [Int] {
        var generator = SplitMix64(seed: configuration.seed &+ 0x0E90_C4 &* UInt64(epoch + 1))
        return Array(sequences.indices).shuffled(using: &generator)
    }
}

// Interruption and resumption.
extension Trainer {
    /// Saves weights, moments and step, so that ``resume(from:)`` continues as if there had been no interruption.
    public func save(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let settings = try encoder.encode(configuration)
        var writer = SafetensorsWriter(metadata: [
            "step": "\(step)", "configuration": String(decoding: settings, as: UTF8.self), "corpus": corpusDigest,
        ])
        var decoder = decoder
        decoder.updateParameters { name, parameter in writer.add("parameter " + name, parameter) }
        for (name, moment) in firstMoments { writer.add("first moment " + name, moment) }
        for (name, moment) in secondMoments { writer.add("second moment " + name, moment) }
        try writer.write(to: path, checksum: true)
    }

    /// Continues from the state that ``save(to:)`` wrote.
    ///
    /// - Throws: ``TrainingError/otherRun(path:difference:)`` if the settings or sequences differ,
    ///   ``TrainingError/damagedState(path:)`` if the file is damaged.
    public mutating func resume(from path: String) throws {
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(path: path)
            if file.hasChecksum { try file.verifyChecksum() }
        } catch let error as SafetensorsError where error.isDamage {
            throw TrainingError.damagedState(path: path)
        }
        let saved = file.metadata["configuration"].flatMap {
            try? JSONDecoder().decode(TrainingConfiguration.self, from: Data($0.utf8))
        }
        guard saved == configuration else { throw TrainingError.otherRun(path: path, difference: "the configuration") }
        guard file.metadata["corpus"] == corpusDigest else {
            throw TrainingError.otherRun(path: path, difference: "the corpus")
        }
        guard let step = file.metadata["step"].flatMap({ Int($0) }), (0...totalSteps).contains(step), file.hasChecksum
        else {
            throw TrainingError.otherRun(path: path, difference: "the format")
        }
        var failure: (any Error)?
        var first: [String: Matrix] = [:]
        var second: [String: Matrix] = [:]
        var decoder = decoder
        decoder.updateParameters { name, parameter in
            do {
                let rows = parameter.rows
                let columns = parameter.columns
                parameter = try file.matrix(named: "parameter " + name, rows: rows, columns: columns)
                first[name] = try file.matrix(named: "first moment " + name, rows: rows, columns: columns)
                second[name] = try file.matrix(named: "second moment " + name, rows: rows, columns: columns)
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        self.decoder = decoder
        firstMoments = first
        secondMoments = second
        self.step = step
    }

    private var corpusDigest: String {
        var digest = ContentDigest()
        for sequence in sequences {
            digest.update(UInt64(sequence.count))
            digest.update(sequence.tokens.littleEndianBytes)
            for span in sequence.loss.spans ?? [] {
                digest.update(UInt64(span.lowerBound))
                digest.update(UInt64(span.upperBound))
            }
        }
        return digest.hexadecimal
    }
}

/// Why training cannot go on.
public enum TrainingError: Error, Equatable, CustomStringConvertible {
    case otherRun(path: String, difference: String)
    /// The saved state of an interrupted run is damaged.
    case damagedState(path: String)
    case unusableConfiguration(String)
    case diverged(step: Int)
    /// A checkpoint without a record of how it was trained.
    case noRecord(path: String)

    public var description: String {
        switch self {
        case .otherRun(let path, let difference):
            "\(path): \(difference) is not that of the interrupted run. Give the same options, or start again without --resume."
        case .damagedState(let path):
            "\(path): the state of the interrupted run is damaged: its content is not what was written. Start again without --resume."
        case .unusableConfiguration(let problem): problem
        case .diverged(let step):
            "the loss is not finite at step \(step): lower learning_rate, or check the corpus"
        case .noRecord(let path):
            "\(path): there is no such file, so it is unknown how the model was trained. Models are retrained from the record that "
                + "tributary train keeps with them: use a model that it made."
        }
    }
}

extension Array {
    func chunks(of size: Int) -> [ArraySlice<Element>] {
        stride(from: 0, to: count, by: size).map { self[$0..<Swift.min($0 + size, count)] }
    }
}
