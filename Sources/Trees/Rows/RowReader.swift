import Files
import JSON
import Tables

/// Reads the rows of a table as a model's features and labels, block by block.
///
/// Columns are found by their names, in any order; other columns are ignored. A model without names takes all columns but the target in their
/// order. An empty field, and the words that pandas takes for it, are missing values.
public final class RowReader {
    private let file: String
    private let forest: Forest
    private let target: String
    private let table: any TableReader
    private let names: [String]
    /// The number of each category by its name, for each feature that has categories.
    private let categories: [[String: Double]?]
    public private(set) var rows = 0

    /// The bytes of the file that are read so far, for progress.
    public var bytesRead: Int { table.bytesRead }
    /// The bytes of the file.
    public let size: Int

    /// Rows in the order of the file.
    public struct Block: Sendable {
        /// The features, one row after the other.
        public var values: [Double] = []
        public var labels: [Double] = []

        public init() {}
    }

    /// - Parameters:
    ///   - target: The name of the column of labels.
    /// - Throws: ``TreesError``, `TableError`.
    public init(path: String, name: String? = nil, target: String, forest: Forest) throws {
        file = name ?? path
        self.forest = forest
        self.target = target
        (table, size) = try Self.open(path, name: file)
        names = try Self.columns(of: table, for: forest, target: target, file: file)
        categories = forest.features.map { feature in
            feature.categories.map { names in
                Dictionary(
                    names.enumerated().map { (Self.canonical($1), Double($0)) }, uniquingKeysWith: { first, _ in first }
                )
            }
        }
        try table.select(names + [target])
    }

    /// The next rows, at most `count`; nil at the end.
    public func next(_ count: Int) throws -> Block? {
        var block = Block()
        block.values.reserveCapacity(count * names.count)
        while block.labels.count < count, let row = try table.nextRow() {
            guard rows < TreeLimits.rows.upperBound else {
                throw TreesError.tooMany(file: file, what: "rows", limit: TreeLimits.rows.upperBound)
            }
            rows += 1
            guard case .object(let members) = try row.values.get(), members.count == names.count + 1 else { continue }
            for index in names.indices {
                block.values.append(try feature(index, members[index].value, row))
            }
            block.labels.append(try label(members[names.count].value, row))
        }
        return block.labels.isEmpty ? nil : block
    }

    // MARK: Values

    private func feature(_ index: Int, _ value: JSONTree, _ row: TableRow) throws(TreesError) -> Double {
        if let numbers = categories[index] {
            switch value {
            case .null: return .nan
            case .boolean(let flag):
                if let number = numbers[flag ? "true" : "false"] ?? numbers[flag ? "True" : "False"] { return number }
            case .string(let text), .number(let text):
                if let number = numbers[Self.canonical(text)] { return number }
                if Self.missing.contains(text) { return .nan }
            default: break
            }
            // LightGBM's Python face takes a category that training did not have for a missing value; XGBoost's refuses it.
            guard forest.library == .xgBoost else { return .nan }
            throw bad(row, names[index], "a category of the model", Self.shown(value))
        }
        guard let number = Self.number(value) else {
            throw bad(row, names[index], "a number, or nothing for a missing value", Self.shown(value))
        }
        return number
    }

    private func label(_ value: JSONTree, _ row: TableRow) throws(TreesError) -> Double {
        guard let label = Self.number(value), forest.loss.allows(label: label), Float(label).isFinite else {
            throw bad(row, target, forest.loss.expectedLabel, Self.shown(value))
        }
        // Both libraries hold labels as Floats.
        return Double(Float(label))
    }

    /// The number of a field; NaN for a missing one; nil for another text.
    private static func number(_ value: JSONTree) -> Double? {
        switch value {
        case .null: return .nan
        case .boolean(let flag): return flag ? 1 : 0
        case .string(let text), .number(let text):
            let isDecimal = text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || "+-.eE".utf8.contains($0)
            }
            if isDecimal { return Double(text) }
            if missing.contains(text) { return .nan }
            let word = text.lowercased()
            return ["inf", "+inf", "infinity"].contains(word) ? .infinity : word == "-inf" ? -.infinity : nil
        default: return nil
        }
    }

    /// What pandas.read_csv takes for a missing value, and the word that JSON has.
    private static let missing: Set<String> = [
        "", "NA", "N/A", "#N/A", "n/a", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "None", "<NA>",
    ]

    /// One spelling for equal numbers: categories can be numbers.
    private static func canonical(_ text: String) -> String {
        guard let number = Double(text), number.isFinite else { return text }
        return "\(number)"
    }

    private func bad(_ row: TableRow, _ column: String, _ expected: String, _ found: String) -> TreesError {
        .badRow(file: file, row: row.number, line: row.line, column: column, expected: expected, found: found)
    }

    private static func shown(_ value: JSONTree) -> String {
        if case .string(let text) = value { return "\"\(text.prefix(60))\"" }
        return value == .null ? "nothing" : value.shown
    }

    // MARK: The table

    private static func columns(
        of table: any TableReader, for forest: Forest, target: String, file: String
    ) throws -> [String] {
        let columns = table.columns
        guard columns.contains(target) else {
            throw TableError.missingColumn(file: file, column: target, columns: columns)
        }
        guard !forest.hasOwnNames else {
            let others = columns.filter { $0 != target }
            guard others.count == forest.features.count else {
                throw TreesError.badColumns(
                    file: file,
                    expected: "\(forest.features.count) columns beside \"\(target)\", as the model has no names",
                    found: "\(others.count)")
            }
            return others
        }
        // LightGBM replaces white space in names.
        var byName: [String: String] = [:]
        for column in columns { byName[column.map { $0.isWhitespace ? "_" : String($0) }.joined()] = column }
        let existing = Set(columns)
        return try forest.features.map { feature in
            guard feature.name != target else {
                throw TreesError.badColumns(
                    file: file, expected: "a target that is no feature of the model", found: "\"\(target)\"")
            }
            if existing.contains(feature.name) { return feature.name }
            if forest.library == .lightGBM, let column = byName[feature.name] { return column }
            throw TableError.missingColumn(file: file, column: feature.name, columns: columns)
        }
    }

    /// Opens a table of any format, with all of its columns.
    static func table(_ path: String, name: String) throws -> any TableReader { try open(path, name: name).0 }

    private static func open(_ path: String, name: String) throws -> (any TableReader, size: Int) {
        let contents: FileContents
        let head: [UInt8]
        do {
            contents = try FileContents(path: path)
            head = try contents.read(at: 0, count: 8)
        } catch FileContentsError.unreadable(let reason) {
            throw TableError.unreadable(file: name, reason: reason)
        }
        if head.starts(with: ParquetReader.magic) {
            return (try ParquetReader(.file(path, name: name)), contents.length)
        }
        if head.starts(with: ArrowReader.fileMagic) || head.starts(with: ArrowReader.streamMagic) {
            return (try ArrowReader(.file(path, name: name)), contents.length)
        }
        if head.first == 0x80 {
            throw TreesError.foreign(
                file: name, found: "a Python pickle, which can run any program when it is read, and is never read",
                advice: "Export the rows: frame.to_csv(\"train.csv\", index=False), or to_parquet.")
        }
        let offset = Counter()
        let next: () throws -> [UInt8]? = {
            do {
                let bytes = try contents.read(at: offset.value, count: chunk)
                offset.value += bytes.count
                return bytes.isEmpty ? nil : bytes
            } catch FileContentsError.unreadable(let reason) {
                throw TableError.unreadable(file: name, reason: reason)
            }
        }
        let plain = ["gz", "zst"].reduce(path.lowercased()) {
            $0.hasSuffix(".\($1)") ? String($0.dropLast($1.count + 1)) : $0
        }
        let separator = UInt8(ascii: plain.hasSuffix(".tsv") || plain.hasSuffix(".tab") ? "\t" : ",")
        let text: () throws -> [UInt8]?
        if head.starts(with: GzipReader.magic) {
            let reader = try GzipReader(next)
            text = { try decompressing(name) { try reader.nextChunk() } }
        } else if ZstdReader.isStart(head) {
            let reader = try ZstdReader(next)
            text = { try decompressing(name) { try reader.nextChunk() } }
        } else {
            text = next
        }
        let table = try SeparatedValuesReader(
            separator: separator, file: name, bytesRead: { offset.value }, nextInput: text)
        return (table, contents.length)
    }

    private static let chunk = 1 << 20

    private static func decompressing(_ name: String, _ body: () throws -> [UInt8]?) throws -> [UInt8]? {
        do {
            return try body()
        } catch let error as TableError {
            throw error
        } catch {
            throw TableError.corrupt(file: name, reason: "\(error)")
        }
    }
}

/// A number that closures share.
private final class Counter {
    var value = 0
}
