import Foundation

/// Why a GGUF file, or the model in it, cannot be used.
///
/// `file` is a file's name; `path` is a path as the caller gave it.
public enum GGUFError: Error, Equatable {
    // Opening.
    case missingFile(path: String)
    case notAFile(path: String)
    case unreadable(path: String, reason: String)
    case severalFiles(folder: String, files: [String])

    // The file's structure.
    case notGGUF(file: String)
    case bigEndian(file: String)
    case unsupportedVersion(file: String, version: UInt32)
    case truncated(file: String, byte: Int, part: String)
    case malformed(file: String, byte: Int, problem: String)
    case tooMany(part: String, file: String, count: UInt64, limit: Int)
    case invalidTensor(tensor: String, file: String, problem: String)

    // What a model needs of it.
    case split(file: String, count: Int)
    case missingKey(key: String, file: String)
    case wrongValue(key: String, file: String, expected: String, found: String)
    case unsupportedArchitecture(file: String, found: String, supported: [String])
    case unsupportedFeature(file: String, feature: String)
    case unsupportedType(tensor: String, file: String, found: String)
    case missingTensor(tensor: String, file: String)
    case wrongShape(tensor: String, file: String, expected: [Int], found: [Int])
    case nonFiniteValue(tensor: String, file: String, row: Int, column: Int)
}

extension GGUFError: CustomStringConvertible, LocalizedError {
    public var errorDescription: String? { description }

    public var description: String {
        let damaged = "The file is damaged: download it again."
        switch self {
        case .missingFile(let path):
            return "\(path): there is no such file. Check the path, or download the file."
        case .notAFile(let path):
            return "\(path): this is not a regular file; expected a .gguf file. Check the path."
        case .unreadable(let path, let reason):
            return "\(path): cannot be read (\(reason)). Check that it exists and that you have permission to read it."
        case .severalFiles(let folder, let files):
            return "\(folder): there is no config.json, and there is more than one GGUF file "
                + "(\(files.prefix(4).joined(separator: ", "))\(files.count > 4 ? ", ..." : "")). Name one of the files."

        case .notGGUF(let file):
            return "\(file): does not begin with \"GGUF\". It is not a GGUF file, or the download is incomplete."
        case .bigEndian(let file):
            return "\(file): is a big-endian GGUF file; only little-endian ones are supported. Convert the model again."
        case .unsupportedVersion(let file, let version):
            return "\(file): has GGUF version \(version); only version \(GGUFFile.version) is supported. "
                + "Convert the model again with a current converter."
        case .truncated(let file, let byte, let part):
            return "\(file): ends at byte \(byte), inside \(part). The download is incomplete: download it again."
        case .malformed(let file, let byte, let problem):
            return "\(file): byte \(byte): \(problem). \(damaged)"
        case .tooMany(let part, let file, let count, let limit):
            return "\(file): \(part) has \(count) entries; no model has more than \(limit). \(damaged)"
        case .invalidTensor(let tensor, let file, let problem):
            return "\(file): tensor \(SafetensorsError.quoted(tensor)) \(problem). \(damaged)"

        case .split(let file, let count):
            return "\(file): is one of \(count) parts; only a whole file is supported. "
                + "Join the parts with llama.cpp's \"llama-gguf-split --merge\"."
        case .missingKey(let key, let file):
            return "\(file): has no \(key), which its model needs. Convert the model again with a current converter."
        case .wrongValue(let key, let file, let expected, let found):
            return "\(file): \(key): expected \(expected), found \(found)."
        case .unsupportedArchitecture(let file, let found, let supported):
            return "\(file): general.architecture is \(SafetensorsError.quoted(found)); the supported ones are "
                + "\(supported.joined(separator: ", "))."
        case .unsupportedFeature(let file, let feature):
            return "\(file): the model has \(feature)."
        case .unsupportedType(let tensor, let file, let found):
            return "\(file): tensor \(SafetensorsError.quoted(tensor)) is stored as \(found); the supported types are "
                + "\(GGUFTensorType.supported.map(\.name).joined(separator: ", ")). Use another file of the model."
        case .missingTensor(let tensor, let file):
            return "\(file): there is no tensor \(SafetensorsError.quoted(tensor)), which its metadata requires. "
                + "The file is incomplete: download it again."
        case .wrongShape(let tensor, let file, let expected, let found):
            return
                "\(file): tensor \(SafetensorsError.quoted(tensor)) is \(SafetensorsError.shown(found)); its metadata "
                + "says \(SafetensorsError.shown(expected)). \(damaged)"
        case .nonFiniteValue(let tensor, let file, let row, let column):
            return "\(file): tensor \(SafetensorsError.quoted(tensor)) holds no finite number at row \(row), "
                + "column \(column). The model was damaged or its training diverged: use another file."
        }
    }

    /// The error for a file whose bytes could not be read.
    init(_ error: FileContentsError, path: String) {
        switch error {
        case .missing: self = .missingFile(path: path)
        case .notAFile: self = .notAFile(path: path)
        case .unreadable(let reason): self = .unreadable(path: path, reason: reason)
        case .shortened(let length):
            self = .truncated(
                file: URL(fileURLWithPath: path).lastPathComponent, byte: length, part: "the values of a tensor")
        }
    }
}
