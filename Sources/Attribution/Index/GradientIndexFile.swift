import Files
import Foundation
import LinearAlgebra
import Sequences
import Transformer

/// The file of a gradient index.
///
/// A header of 128 bytes, and then a record for each sequence of the corpus, in the order in which they were added. All numbers are
/// little-endian.
///
/// | offset | bytes | content |
/// |---|---|---|
/// | 0 | 8 | `TRIBIDX` and the version, 1 |
/// | 8 | 4 | tracked layers |
/// | 12 | 4 | ``SketchLayout/leading`` |
/// | 16 | 4 | ``SketchLayout/signs`` |
/// | 20 | 4 | bytes per record |
/// | 24 | 8 | ``SketchLayout/seed`` |
/// | 32 | 32 | digest of the model and the factors |
/// | 64 | 8 | FNV-1a hash of the first 64 bytes |
/// | 72 | 8 | sequences |
/// | 80 | 48 | zero |
///
/// The parts of a record, in order:
///
/// | bytes | content |
/// |---|---|
/// | 4 | FNV-1a hash of the sequence's tokens, each as a UInt32; the hash's halves are combined by exclusive or |
/// | 4 · layers | Float32 scale of each layer |
/// | layers · signs / 8 | layer by layer the signs of ``LayerSketch``'s entries, 1 for plus, the first in the lowest bit of a byte |
///
/// The last two parts are the record of ``SignSketch``. Records are written and synced before the number of sequences is. Bytes after the
/// last counted record come from an extension that did not finish, and the next extension removes them.
struct GradientIndexFile {
    static let headerBytes = 128
    private static let magic = Array("TRIBIDX".utf8) + [1]
    private static let countOffset = 72
    private static let identityBytes = 32

    let path: String
    let layout: SketchLayout
    let layers: Int
    /// Digest of the model and the factors.
    let identity: [UInt8]

    var recordBytes: Int { 4 + layers * (4 + layout.signs / 8) }

    static func exists(at path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// - Throws: ``GradientIndexError``.
    static func open(_ path: String) throws -> (file: GradientIndexFile, sequences: Int) {
        let name = path
        let data: Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? handle.close() }
            data = try handle.read(upToCount: headerBytes) ?? Data()
        } catch {
            throw GradientIndexError.unreadable(file: name, reason: error.localizedDescription)
        }
        guard data.count == headerBytes, data.prefix(7).elementsEqual(magic.prefix(7)) else {
            throw GradientIndexError.damaged(file: name, reason: "it does not begin as an index does")
        }
        guard data[7] == magic[7] else { throw GradientIndexError.otherVersion(file: name, found: Int(data[7])) }
        var reader = LittleEndianReader(data, at: 8)
        guard let layers = reader.number(UInt32.self), let leading = reader.number(UInt32.self),
            let signs = reader.number(UInt32.self), let recordBytes = reader.number(UInt32.self),
            let seed = reader.number(UInt64.self)
        else { throw GradientIndexError.damaged(file: name, reason: "its header is cut short") }
        reader.skip(identityBytes)
        guard let hash = reader.number(UInt64.self), let sequences = reader.number(UInt64.self),
            hash == CheckpointBlock.hash(data.prefix(64)), (1...65_536).contains(layers),
            SketchLayout.isPossible(leading: Int(leading), signs: Int(signs)), sequences <= UInt64(UInt32.max)
        else { throw GradientIndexError.damaged(file: name, reason: "its header is not as it was written") }
        let file = GradientIndexFile(
            path: path, layout: SketchLayout(leading: Int(leading), signs: Int(signs), seed: seed),
            layers: Int(layers), identity: Array(data[32..<(32 + identityBytes)]))
        guard Int(recordBytes) == file.recordBytes else {
            throw GradientIndexError.damaged(file: name, reason: "the size of its records does not match its layout")
        }
        return (file, Int(sequences))
    }

    /// Writes a file without records, in place of any file at the path.
    func create() throws {
        do {
            try AtomicFile.write(Data(header + [UInt8](repeating: 0, count: Self.headerBytes - header.count)), to: path)
        } catch {
            throw GradientIndexError.cannotWrite(file: path, reason: "\(error)")
        }
    }

    private var header: [UInt8] {
        var bytes = Self.magic
        bytes += [layers, layout.leading, layout.signs, recordBytes].map { UInt32($0) }.littleEndianBytes
        bytes.append(littleEndian: layout.seed)
        bytes += identity
        bytes.append(littleEndian: CheckpointBlock.hash(bytes))
        bytes.append(littleEndian: 0 as UInt64)
        return bytes
    }

    /// The records of the first sequences, mapped into memory.
    ///
    /// - Throws: ``GradientIndexError/cutShort(file:expected:found:)``, ``GradientIndexError/unreadable(file:reason:)``.
    func map(sequences: Int) throws -> Data {
        let mapped: Data
        do {
            mapped = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        } catch {
            throw GradientIndexError.unreadable(file: path, reason: error.localizedDescription)
        }
        let expected = Self.headerBytes + sequences * recordBytes
        guard mapped.count >= expected else {
            throw GradientIndexError.cutShort(file: path, expected: expected, found: mapped.count)
        }
        return mapped[Self.headerBytes..<expected]
    }

    /// Adds records after those of the first sequences, syncs them, and counts them.
    func append(_ records: [UInt8], behind sequences: Int) throws {
        do {
            var file = try GrowingFile(path: path, keeping: Self.headerBytes + sequences * recordBytes)
            try file.append(records.span.bytes)
            var count: [UInt8] = []
            count.append(littleEndian: UInt64(sequences + records.count / recordBytes))
            try file.overwrite(count.span.bytes, at: Self.countOffset)
        } catch {
            throw GradientIndexError.cannotWrite(file: path, reason: "\(error)")
        }
    }

    /// A sequence's record as the file has it.
    func record(of sequence: TrainingSequence, sketch: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(recordBytes)
        bytes.append(littleEndian: Self.hash(of: sequence))
        return bytes + sketch
    }

    /// A hash of 32 bits that tells sequences apart.
    static func hash(of sequence: TrainingSequence) -> UInt32 {
        let spans = (sequence.loss.spans ?? []).flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] }
        let hash = CheckpointBlock.hash((sequence.tokens + spans).littleEndianBytes)
        return UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
    }
}
