import Files
import JSON

final class ParquetCodec {
    private let source: TableSource
    private var zstd: ZstdBlockReader?

    init(_ source: TableSource) { self.source = source }

    /// The codec's name, if it is one that is not read.
    static func unsupportedName(_ codec: Int64) -> String? {
        switch codec {
        case 0, 1, 2, 6: nil
        case 3: "LZO"
        case 4: "Brotli"
        case 5, 7: "LZ4"
        default: "codec \(codec)"
        }
    }

    /// - Parameter count: The size after decompression.
    func decompress(_ bytes: ArraySlice<UInt8>, codec: Int64, count: Int) throws -> [UInt8] {
        let result: [UInt8]
        do {
            switch codec {
            case 1: result = try Snappy.decompress(bytes, count: count)
            case 2: result = try GzipReader.decompress(Array(bytes), limit: count)
            case 6:
                let zstd = try self.zstd ?? ZstdBlockReader()
                self.zstd = zstd
                result = try zstd.decompress(bytes, count: count)
            default: result = Array(bytes)
            }
        } catch Snappy.Mistake.corrupt(let reason) {
            throw source.corrupt(reason)
        } catch let error as GzipError {
            throw source.corrupt("a page cannot be decompressed (gzip: \(error))")
        } catch let error as ZstdError {
            throw source.corrupt("a page cannot be decompressed (zstd: \(error))")
        }
        guard result.count == count else {
            throw source.corrupt("a page has \(result.count) bytes, and its header says \(count)")
        }
        return result
    }
}

enum ParquetType: Equatable {
    case boolean, int32, int64, unsigned32, unsigned64, float, double, text

    /// - Returns: Nil if values of the type have no form in JSON; ``name(of:)`` says what they are.
    init?(_ element: ParquetSchemaElement) {
        switch (element.type, element.meaning) {
        case (0, .plain): self = .boolean
        case (1, .plain): self = .int32
        case (1, .unsigned): self = .unsigned32
        case (2, .plain): self = .int64
        case (2, .unsigned): self = .unsigned64
        case (4, .plain): self = .float
        case (5, .plain): self = .double
        case (6, .plain), (6, .text): self = .text
        default: return nil
        }
    }

    static func name(of element: ParquetSchemaElement) -> String {
        if case .other(let name) = element.meaning { return name }
        return switch element.type {
        case 3: "96-bit integer"
        case 7: "byte string of a fixed length"
        default: "value of type \(element.type ?? -1)"
        }
    }
}

private enum PageValues {
    case none
    case plain(position: Int)
    case plainBits(index: Int)
    case dictionary(HybridReader)
    case bits(HybridReader)
    case deltas(DeltaReader)
    case deltaLengths(DeltaLengthReader)
    case deltaStrings(DeltaStringReader)
}

/// Reads the values of one leaf of the schema, in one row group after another, with their levels.
///
/// A repetition level says in which list the value continues, 0 being a new row; a definition level how many of the optional nodes above
/// the value exist. (github.com/apache/parquet-format, "Nested Encoding".)
final class ParquetLeafReader {
    let name: String
    let index: Int
    let type: ParquetType
    let maximumDefinition: Int
    let maximumRepetition: Int
    private let source: TableSource
    private let codec: ParquetCodec
    private let budget: RowBudget

    private var chunk = ParquetRowGroup.Chunk()
    private var group = 0
    private var position = 0
    private var end = 0
    /// Values of the chunk, and of the page, that have not been read.
    private var inChunk = 0
    private var inPage = 0
    private var dictionary: [JSONTree]?

    private var page: [UInt8] = []
    private var pageEnd = 0
    private var values = PageValues.none
    private var repetitions: HybridReader?
    private var definitions: HybridReader?

    private var hasHead = false
    private var headRepetition = 0
    private var headDefinition = 0

    init(
        name: String, index: Int, type: ParquetType, definition: Int, repetition: Int, source: TableSource,
        codec: ParquetCodec, budget: RowBudget
    ) {
        self.name = name
        self.index = index
        self.type = type
        maximumDefinition = definition
        maximumRepetition = repetition
        self.source = source
        self.codec = codec
        self.budget = budget
    }

    // MARK: Row groups

    func start(_ chunk: ParquetRowGroup.Chunk, group: Int) throws {
        self.group = group
        if chunk.isEncrypted { throw source.unsupported("Encrypted columns", "Write the file without encryption.") }
        guard !chunk.isElsewhere else {
            throw source.unsupported("A column whose data is in another file", "Write the table to one file.")
        }
        if let name = ParquetCodec.unsupportedName(chunk.codec) {
            throw source.unsupported(
                "Column \"\(self.name)\", which is compressed with \(name),",
                "Write the file with zstd, snappy, gzip or no compression, for example "
                    + "pyarrow.parquet.write_table(table, FILE, compression=\"zstd\").")
        }
        let start = chunk.start
        guard start >= 0, chunk.compressedSize >= 0, chunk.valueCount >= 0 else {
            throw corrupt("its place in the file is not given")
        }
        guard start <= source.length, chunk.compressedSize <= source.length - start else {
            throw source.truncated("column \"\(name)\" of row group \(group) does")
        }
        self.chunk = chunk
        position = start
        end = start + chunk.compressedSize
        inChunk = chunk.valueCount
        inPage = 0
        hasHead = false
        dictionary = nil
    }

    // MARK: Values

    /// The levels of the next value or null; nil at the end of the row group.
    func head() throws -> (repetition: Int, definition: Int)? {
        if !hasHead {
            while inPage == 0 {
                guard inChunk > 0 else { return nil }
                try readPage()
            }
            do throws(EncodingMistake) {
                headRepetition = try repetitions?.next() ?? 0
                headDefinition = try definitions?.next() ?? maximumDefinition
            } catch {
                throw corrupt("its levels: \(error.reason)")
            }
            guard headRepetition <= maximumRepetition, headDefinition <= maximumDefinition else {
                throw corrupt("a level of \(max(headRepetition, headDefinition)) in a shallower column")
            }
            hasHead = true
        }
        return (headRepetition, headDefinition)
    }

    func passNull() {
        hasHead = false
        inPage -= 1
        inChunk -= 1
    }

    /// The value of the next entry.
    func take() throws -> JSONTree {
        guard let head = try head(), head.definition == maximumDefinition else {
            throw corrupt("a value is missing")
        }
        passNull()
        do throws(EncodingMistake) {
            return try nextValue()
        } catch let error {
            throw corrupt(error.reason)
        }
    }

    private func nextValue() throws(EncodingMistake) -> JSONTree {
        switch values {
        case .none:
            throw .ended
        case .plain(let start):
            let value = try plain(page, start, end: pageEnd)
            if type == .text, case .null = value.value { budget.note(Self.notText, in: name) }
            values = .plain(position: value.next)
            return value.value
        case .plainBits(let index):
            guard index < pageEnd * 8 else { throw .ended }
            values = .plainBits(index: index + 1)
            return .boolean(page[index / 8] >> UInt8(index % 8) & 1 == 1)
        case .dictionary(var reader):
            // Without this the reader would be copied.
            values = .none
            let index = try reader.next()
            values = .dictionary(reader)
            guard let dictionary, index < dictionary.count else { throw EncodingMistake("it has no value \(index)") }
            let entry = dictionary[index]
            if type == .text, case .null = entry { budget.note(Self.notText, in: name) }
            return entry
        case .bits(var reader):
            values = .none
            let bit = try reader.next()
            values = .bits(reader)
            return .boolean(bit == 1)
        case .deltas(var reader):
            values = .none
            let number = try reader.next()
            values = .deltas(reader)
            return integer(number)
        case .deltaLengths(var reader):
            values = .none
            let bytes = try reader.next()
            values = .deltaLengths(reader)
            return noted(bytes)
        case .deltaStrings(var reader):
            values = .none
            let value = noted(try reader.next())
            values = .deltaStrings(reader)
            return value
        }
    }

    private func plain(_ bytes: [UInt8], _ start: Int, end: Int) throws(EncodingMistake) -> (value: JSONTree, next: Int)
    {
        let width =
            switch type {
            case .int64, .unsigned64, .double: 8
            default: 4
            }
        guard width <= end - start else { throw .ended }
        let next = start + width
        let number = bytes.span.bytes
        switch type {
        case .boolean: throw EncodingMistake("a boolean")
        case .int32: return (integer(Int64(number.littleEndian(Int32.self, at: start))), next)
        case .unsigned32: return (integer(Int64(number.littleEndian(Int32.self, at: start))), next)
        case .int64, .unsigned64: return (integer(number.littleEndian(Int64.self, at: start)), next)
        case .float:
            return (.init(Float(bitPattern: number.littleEndian(UInt32.self, at: start))), next)
        case .double:
            return (.init(Double(bitPattern: number.littleEndian(UInt64.self, at: start))), next)
        case .text:
            let length = Int(number.littleEndian(UInt32.self, at: start))
            guard length <= end - next else { throw .ended }
            return (text(bytes[next..<(next + length)]), next + length)
        }
    }

    private func integer(_ value: Int64) -> JSONTree {
        switch type {
        case .unsigned32: .number(String(UInt32(truncatingIfNeeded: value)))
        case .unsigned64: .number(String(UInt64(bitPattern: value)))
        case .int32: .number(String(Int32(truncatingIfNeeded: value)))
        default: .number(String(value))
        }
    }

    /// Null for bytes that are not text.
    private func text(_ bytes: ArraySlice<UInt8>) -> JSONTree {
        String(validating: bytes, as: UTF8.self).map(JSONTree.string) ?? .null
    }

    private func noted(_ bytes: ArraySlice<UInt8>) -> JSONTree {
        let value = text(bytes)
        if case .null = value { budget.note(Self.notText, in: name) }
        return value
    }

    private static let notText = "is not text in UTF-8"

    // MARK: Pages

    private func readPage() throws {
        guard position < end else { throw corrupt("its pages end too early") }
        let header = try readHeader()
        guard header.size >= 0, header.compressedSize >= 0 else { throw corrupt("a page without a size") }
        guard header.compressedSize <= end - position else { throw corrupt("a page that goes past the column's end") }
        guard header.size <= TableLimits.pageSize else {
            throw source.unsupported(
                "A page of \(header.size) bytes in column \"\(name)\"",
                "At most \(TableLimits.pageSize) bytes are read. Write the file with smaller pages.")
        }
        let bytes = try source.read(at: position, count: header.compressedSize, of: "a page of column \"\(name)\" does")
        position += header.compressedSize
        if let checksum = header.checksum, checksum != CRC32.checksum(of: bytes[...]) {
            throw corrupt("a page does not match its checksum")
        }
        switch ParquetPageHeader.Kind(rawValue: header.kind) {
        case .index: break
        case .dictionary: try readDictionary(header, bytes)
        case .data: try readData(header, try codec.decompress(bytes[...], codec: chunk.codec, count: header.size))
        case .dataV2: try readDataV2(header, bytes)
        case nil: throw corrupt("a page of an unknown kind")
        }
    }

    private func readHeader() throws -> ParquetPageHeader {
        var size = 4096
        while true {
            let bytes = try source.read(
                at: position, count: min(size, end - position), of: "the header of a page of column \"\(name)\" does")
            var reader = ThriftReader(bytes)
            do throws(ThriftReader.Mistake) {
                let header = try ParquetPageHeader(&reader)
                position += reader.position
                return header
            } catch {
                switch error {
                // A header can hold long values, as statistics.
                case .ended where bytes.count < end - position && size < TableLimits.metadataSize: size *= 16
                case .ended: throw corrupt("the header of a page ends too early")
                case .malformed(let reason): throw corrupt("the header of a page: \(reason)")
                }
            }
        }
    }

    private func readDictionary(_ header: ParquetPageHeader, _ bytes: [UInt8]) throws {
        guard dictionary == nil, header.encoding == 0 || header.encoding == 2 else {
            throw corrupt("a dictionary in an unknown place or encoding")
        }
        guard header.size <= TableLimits.dictionarySize else {
            throw source.unsupported(
                "A dictionary of \(header.size) bytes in column \"\(name)\"",
                "At most \(TableLimits.dictionarySize) bytes are read. Write the column without a dictionary.")
        }
        let page = try codec.decompress(bytes[...], codec: chunk.codec, count: header.size)
        // Every value has at least four bytes.
        guard header.valueCount >= 0, header.valueCount <= page.count / 4 else {
            throw corrupt("the size of its dictionary")
        }
        var entries: [JSONTree] = []
        entries.reserveCapacity(header.valueCount)
        var position = 0
        do throws(EncodingMistake) {
            for _ in 0..<header.valueCount {
                let value = try plain(page, position, end: page.count)
                entries.append(value.value)
                position = value.next
            }
        } catch {
            throw corrupt("its dictionary: \(error.reason)")
        }
        dictionary = entries
    }

    private func readData(_ header: ParquetPageHeader, _ bytes: [UInt8]) throws {
        try startPage(header, bytes)
        var position = 0
        do throws(EncodingMistake) {
            repetitions = try levels(maximumRepetition, header.repetitionEncoding, at: &position)
            definitions = try levels(maximumDefinition, header.definitionEncoding, at: &position)
            try startValues(header.encoding, at: position)
        } catch {
            throw corrupt(error.reason)
        }
    }

    private func readDataV2(_ header: ParquetPageHeader, _ bytes: [UInt8]) throws {
        let (repetition, definition) = (header.repetitionSize, header.definitionSize)
        guard repetition >= 0, definition >= 0, repetition <= bytes.count, definition <= bytes.count - repetition,
            repetition + definition <= header.size
        else { throw corrupt("the levels of a page are longer than the page") }
        let levels = repetition + definition
        var page = bytes
        if header.isCompressed, chunk.codec != 0 {
            page = Array(bytes[..<levels])
            if header.size > levels {
                page += try codec.decompress(bytes[levels...], codec: chunk.codec, count: header.size - levels)
            }
        }
        guard page.count == header.size else { throw corrupt("a page has another size than its header says") }
        try startPage(header, page)
        do throws(EncodingMistake) {
            repetitions = try self.levels(maximumRepetition, 0..<repetition)
            definitions = try self.levels(maximumDefinition, repetition..<levels)
            try startValues(header.encoding, at: levels)
        } catch {
            throw corrupt(error.reason)
        }
    }

    private func startPage(_ header: ParquetPageHeader, _ bytes: [UInt8]) throws {
        guard header.valueCount >= 0, header.valueCount <= inChunk else {
            throw corrupt("a page with more values than the column")
        }
        page = bytes
        pageEnd = bytes.count
        inPage = header.valueCount
    }

    /// The levels of a page of version 1, which begin with their length; nil if there is only one level.
    private func levels(_ maximum: Int, _ encoding: Int64, at position: inout Int) throws(EncodingMistake)
        -> HybridReader?
    {
        guard maximum > 0 else { return nil }
        guard encoding == 3 else { throw EncodingMistake("levels in the old bit-packed encoding, which is not read") }
        guard pageEnd - position >= 4 else { throw .ended }
        let length = Int(page.span.bytes.littleEndian(UInt32.self, at: position))
        position += 4
        guard length <= pageEnd - position else { throw .ended }
        defer { position += length }
        return try levels(maximum, position..<(position + length))
    }

    private func levels(_ maximum: Int, _ range: Range<Int>) throws(EncodingMistake) -> HybridReader? {
        guard maximum > 0 else { return nil }
        return try HybridReader(page, range, width: Int.bitWidth - maximum.leadingZeroBitCount)
    }

    private func startValues(_ encoding: Int64, at start: Int) throws(EncodingMistake) {
        let range = start..<pageEnd
        // A page of nulls has no values, and need not have their encoding's head.
        guard inPage > 0, !range.isEmpty else {
            values = .none
            return
        }
        switch (encoding, type) {
        case (0, .boolean): values = .plainBits(index: start * 8)
        case (0, _): values = .plain(position: start)
        case (2, _), (8, _):
            guard dictionary != nil else { throw EncodingMistake("a dictionary is missing") }
            values = .dictionary(try HybridReader(page, (start + 1)..<pageEnd, width: Int(page[start])))
        case (3, .boolean):
            guard range.count >= 4 else { throw .ended }
            values = .bits(try HybridReader(page, (start + 4)..<pageEnd, width: 1))
        case (5, .int32), (5, .int64), (5, .unsigned32), (5, .unsigned64):
            values = .deltas(try DeltaReader(page, range, limit: inPage))
        case (6, .text): values = .deltaLengths(try DeltaLengthReader(page, range, limit: inPage))
        case (7, .text): values = .deltaStrings(try DeltaStringReader(page, range, limit: inPage))
        default:
            let name = Self.encodings[encoding] ?? "number \(encoding)"
            throw EncodingMistake("its values have the encoding \(name), which is not read for its type")
        }
    }

    private static let encodings: [Int64: String] = [
        0: "PLAIN", 2: "PLAIN_DICTIONARY", 3: "RLE", 4: "BIT_PACKED", 5: "DELTA_BINARY_PACKED",
        6: "DELTA_LENGTH_BYTE_ARRAY",
        7: "DELTA_BYTE_ARRAY", 8: "RLE_DICTIONARY", 9: "BYTE_STREAM_SPLIT",
    ]

    func corrupt(_ reason: String) -> TableError {
        source.corrupt("column \"\(name)\" of row group \(group): \(reason)")
    }
}

extension JSONTree {
    /// A number as JSON writes it; null for NaN and infinity, which JSON cannot write. pandas stands NaN for a missing number.
    init(_ value: Float) { self = value.isFinite ? .number("\(value)") : .null }

    init(_ value: Double) { self = value.isFinite ? .number("\(value)") : .null }
}
