import Files
import Foundation
import JSON

/// The files that a path on the command line stands for.
public struct InputFiles: Sendable {
    /// The inputs, in the order in which they are read.
    public private(set) var inputs: [CorpusInput] = []
    /// The names of files in folders that are in no known format, and are left out.
    public private(set) var unknown: [String] = []

    /// The names of the files that `save_to_disk` of Hugging Face's datasets writes beside the data.
    private static let datasetState = "state.json"
    private static let datasetInformation = "dataset_info.json"
    private static let datasetSplits = "dataset_dict.json"
    /// Files of JSON that describe a dataset.
    private static let descriptions = [datasetState, datasetInformation, "dataset_infos.json"]
    private static let maximumDepth = 64

    /// Finds the files of some paths.
    ///
    /// A path is a file, `-` for standard input, a folder, or a pattern with `*`, `?` or `[`. A folder stands for all files in it and in the
    /// folders inside it, in the order of their names, except hidden ones (with a dot or an underscore in front) and those in no known
    /// format or describe the data. A folder that `save_to_disk` wrote stands for its shards.
    ///
    /// - Throws: ``CorpusImportError``: a path or a pattern without files, a saved dataset of several splits.
    public init(at paths: [String], format: CorpusInput.Format? = nil) throws {
        for path in paths {
            if path == "-" || FileManager.default.fileExists(atPath: path) {
                try add(path, format: format)
            } else if path.contains(where: { "*?[".contains($0) }) {
                let matches = FileSystem.paths(matching: path)
                guard !matches.isEmpty else { throw CorpusImportError.noFiles(path: path, unknown: []) }
                for match in matches { try add(match, format: format) }
            } else {
                throw CorpusImportError.missingFile(path: path)
            }
        }
    }

    private mutating func add(_ path: String, format: CorpusInput.Format?) throws {
        guard path != "-", Self.isFolder(path) else {
            inputs.append(.file(path, format: format))
            return
        }
        let before = (inputs.count, unknown.count)
        var visited: Set<String> = []
        try addFolder(
            path, name: URL(fileURLWithPath: path).standardizedFileURL.lastPathComponent, format: format, depth: 0,
            visited: &visited)
        guard inputs.count > before.0 else {
            throw CorpusImportError.noFiles(path: path, unknown: Array(unknown[before.1...]))
        }
    }

    // The recursion's depth is limited.
    private mutating func addFolder(
        _ path: String, name: String, format: CorpusInput.Format?, depth: Int, visited: inout Set<String>
    ) throws {
        // A symbolic link can lead back to a folder above it.
        let place = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
        guard depth < Self.maximumDepth, visited.insert(place).inserted else { return }
        let entries: [String]
        do {
            entries = try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw CorpusImportError.unreadable(path: path, reason: error.localizedDescription)
        }
        if entries.contains(Self.datasetSplits) {
            let splits = try Self.json(path + "/" + Self.datasetSplits)["splits"]
            throw CorpusImportError.severalSplits(path: path, splits: Self.strings(splits) ?? [])
        }
        if entries.contains(Self.datasetState), entries.contains(Self.datasetInformation) {
            for file in try Self.shards(path + "/" + Self.datasetState) {
                inputs.append(.file(path + "/" + file, format: .arrow, name: name + "/" + file))
            }
            return
        }
        let visible = entries.filter { !$0.hasPrefix(".") && !$0.hasPrefix("_") }
        for entry in visible.sorted(by: { ExactString($0) < ExactString($1) }) {
            let inner = path + "/" + entry
            if Self.isFolder(inner) {
                try addFolder(inner, name: name + "/" + entry, format: format, depth: depth + 1, visited: &visited)
            } else if CorpusInput.hasKnownForm(inner), !Self.descriptions.contains(entry) {
                inputs.append(.file(inner, format: format, name: name + "/" + entry))
            } else {
                unknown.append(name + "/" + entry)
            }
        }
    }

    /// The files of a saved dataset, as its state lists them.
    private static func shards(_ path: String) throws -> [String] {
        guard case .array(let files)? = try json(path)["_data_files"] else {
            throw CorpusImportError.unreadable(path: path, reason: "it does not list the dataset's files.")
        }
        return try files.map { file in
            guard case .string(let name)? = file["filename"], !name.contains("/"), !name.hasPrefix(".") else {
                throw CorpusImportError.unreadable(path: path, reason: "it lists a file outside of its folder.")
            }
            return name
        }
    }

    private static func json(_ path: String) throws -> JSONTree {
        do {
            return try JSONReader.read([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
        } catch let error as JSONReader.Mistake {
            throw CorpusImportError.unreadable(path: path, reason: error.description)
        } catch {
            throw CorpusImportError.unreadable(path: path, reason: error.localizedDescription)
        }
    }

    private static func strings(_ tree: JSONTree?) -> [String]? {
        guard case .array(let elements)? = tree else { return nil }
        return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
