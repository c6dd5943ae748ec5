import Foundation

/// Why a safetensors file, or a folder of them, could not be read or written.
///
/// `file` is a file's name; `path` and `folder` are paths as the caller gave them.
public enum SafetensorsError: Error, Equatable {
    // Opening.
    case missingFile(path: String)
    case notAFile(path: String)
    case unreadable(path: String, reason: String)

    // The file's structure.
    case tooShort(file: String, byteCount: Int)
    case headerTooLong(file: String, length: UInt64, limit: Int)
    case malformedHeader(file: String, byte: Int, problem: String)
    case invalidTensor(tensor: String, file: String, problem: String)
    case truncated(file: String, expected: UInt64, found: Int)
    case uncoveredBytes(file: String, range: Range<Int>)
    case wrongChecksum(file: String)

    // What a caller asks of it.
    case missingTensor(tensor: String, file: String)
    case wrongShape(tensor: String, file: String, expected: [Int], found: [Int])
    case wrongRank(tensor: String, file: String, found: [Int])
    case wrongType(tensor: String, file: String, expected: [SafetensorsType], found: SafetensorsType)
    case integerTooLarge(tensor: String, file: String, value: UInt64)
    case nonFiniteValue(tensor: String, file: String, row: Int, column: Int, value: String)

    // Folders and shards.
    case missingWeights(folder: String)
    case malformedIndex(file: String, problem: String)
    case missingShard(shard: String, index: String, folder: String)
    /// A shard has a tensor that the index does not list, or lists for another shard.
    case unlistedTensor(tensor: String, file: String, index: String, listed: String?)

    // Writing.
    case unwritableTensor(tensor: String, problem: String)
    case unwritableHeader(byteCount: Int, limit: Int)
}

extension SafetensorsError: CustomStringConvertible, LocalizedError {
    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .missingFile(let path):
            return "\(path): there is no such file. Check the path, or download the file."
        case .notAFile(let path):
            return "\(path): this is not a regular file; expected a .safetensors file. Check the path."
        case .unreadable(let path, let reason):
            return "\(path): cannot be read (\(reason)). Check that it exists and that you have permission to read it."

        case .tooShort(let file, let byteCount):
            return "\(file): is \(byteCount) bytes long; a safetensors file has at least 10. Download it again."
        case .headerTooLong(let file, let length, let limit):
            return "\(file): says that its header is \(length) bytes long; the format allows \(limit). "
                + "This is not a safetensors file, or it is damaged: download it again."
        case .malformedHeader(let file, let byte, let problem):
            return "\(file): header, byte \(byte): \(problem). "
                + "This is not a safetensors file, or it is damaged: download it again."
        case .invalidTensor(let tensor, let file, let problem):
            return "\(file): tensor \(Self.quoted(tensor)) \(problem). The file is damaged: download it again."
        case .truncated(let file, let expected, let found):
            return "\(file): is \(found) bytes long; its header says \(expected). "
                + "The download is incomplete: download it again."
        case .uncoveredBytes(let file, let range):
            return "\(file): data bytes \(range.lowerBound) to \(range.upperBound) belong to no tensor; "
                + "the format allows no gap. The file is damaged: download it again."
        case .wrongChecksum(let file):
            return "\(file): the content was changed after it was written: its checksum differs."

        case .missingTensor(let tensor, let file):
            return "\(file): has no tensor \(Self.quoted(tensor)). Check that the file belongs to this model."
        case .wrongShape(let tensor, let file, let expected, let found):
            return "\(file): tensor \(Self.quoted(tensor)) is \(Self.shown(found)); expected \(Self.shown(expected)). "
                + "The file belongs to another model than its description: download both again."
        case .wrongRank(let tensor, let file, let found):
            return "\(file): tensor \(Self.quoted(tensor)) is \(Self.shown(found)); "
                + "expected one or two dimensions. Check that the file belongs to this model."
        case .wrongType(let tensor, let file, let expected, let found):
            let names = expected.map(\.rawValue).joined(separator: ", ")
            return "\(file): tensor \(Self.quoted(tensor)) is stored as \(found.rawValue); "
                + "expected one of \(names). Convert the file to one of these."
        case .integerTooLarge(let tensor, let file, let value):
            return "\(file): tensor \(Self.quoted(tensor)) holds \(value); expected at most \(Int64.max). "
                + "Write the file again with smaller numbers."
        case .nonFiniteValue(let tensor, let file, let row, let column, let value):
            return "\(file): tensor \(Self.quoted(tensor)) holds \(value) at row \(row), column \(column); expected "
                + "finite numbers. The model was damaged or its training diverged: use another checkpoint."

        case .missingWeights(let folder):
            return "\(folder): has neither model.safetensors nor model.safetensors.index.json. "
                + "Name a folder of a Hugging Face checkpoint, saved as safetensors."
        case .malformedIndex(let file, let problem):
            return "\(file): \(problem). Download it again."
        case .missingShard(let shard, let index, let folder):
            return
                "\(folder): \(Self.quoted(shard)) is missing, which \(index) lists. Download it into the same folder."

        case .unlistedTensor(let tensor, let file, let index, let listed):
            let listing = listed.map { "lists for \(Self.quoted($0))" } ?? "does not list"
            return "\(file): has the tensor \(Self.quoted(tensor)), which \(index) \(listing). "
                + "The files belong to different models: download them again into an empty folder."

        case .unwritableTensor(let tensor, let problem):
            return "tensor \(Self.quoted(tensor)) cannot be written: \(problem)."
        case .unwritableHeader(let byteCount, let limit):
            return "names, shapes and metadata take \(byteCount) bytes; a safetensors header holds at most \(limit). "
                + "Shorten the metadata, or write several files."
        }
    }

    /// Whether the file can be read, but is damaged.
    public var isDamage: Bool {
        switch self {
        case .tooShort, .headerTooLong, .malformedHeader, .invalidTensor, .truncated, .uncoveredBytes, .wrongChecksum:
            true
        default: false
        }
    }

    /// The error for a file whose bytes could not be read.
    ///
    /// - Parameter expected: The file's length when it was opened.
    init(_ error: FileContentsError, path: String, expected: Int) {
        switch error {
        case .missing: self = .missingFile(path: path)
        case .notAFile: self = .notAFile(path: path)
        case .unreadable(let reason): self = .unreadable(path: path, reason: reason)
        case .shortened(let length):
            self = .truncated(
                file: URL(fileURLWithPath: path).lastPathComponent, expected: UInt64(expected), found: length)
        }
    }

    /// A name in quotes, shortened, with control characters escaped.
    static func quoted(_ name: String) -> String {
        name.count > 120 ? String(name.prefix(120)).debugDescription + "..." : name.debugDescription
    }

    /// A shape, shortened if it has very many dimensions.
    static func shown(_ shape: [Int]) -> String {
        let dimensions = shape.prefix(8).map(String.init) + (shape.count > 8 ? ["..."] : [])
        return "[" + dimensions.joined(separator: ", ") + "]"
    }
}
