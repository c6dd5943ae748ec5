import Files

/// A format that cannot be imported, or not from where it is, recognised by its first bytes.
///
/// Read as text, a container would at best be refused as "not UTF-8", and at worst become one document of its bytes.
public struct ForeignFormat: Sendable, Equatable {
    /// The name with its article, such as "a Parquet file".
    public let name: String
    /// A sentence that says what to do.
    public let advice: String

    /// The number of bytes that identify a format: up to the mark of a tar archive, and the first name in a zip archive.
    static let headSize = 512

    /// The format that begins with these bytes.
    ///
    /// - Returns: Nil if they begin no known foreign format. Text and gzip are not foreign formats.
    public init?(head: some Collection<UInt8>) {
        let head = Array(head.prefix(Self.headSize))
        guard let format = Self.signed.first(where: { $0.matches(head) })?.format ?? Self.unsigned(head) else {
            return nil
        }
        self = format
    }

    private init(_ name: String, _ advice: String) {
        self.name = name
        self.advice = advice
    }

    // MARK: Text

    /// Separated values in a file that is named as plain text.
    static func namedAsText(_ format: CorpusInput.Format) -> ForeignFormat {
        let (name, option) = format == .tabSeparated ? ("tab", "tsv") : ("comma", "csv")
        return ForeignFormat(
            "\(name)-separated values (\(option.uppercased())) in a file that is named as plain text",
            "Give --format \(option) or --format text.")
    }

    // MARK: Signatures

    /// Bytes that only one format has at this offset.
    private struct Signature {
        let bytes: [UInt8]
        var offset = 0
        /// Whether a text can begin with these bytes: the head must then also contain control characters.
        var mayBeText = false
        let format: ForeignFormat

        func matches(_ head: [UInt8]) -> Bool {
            guard head.dropFirst(offset).starts(with: bytes) else { return false }
            return !mayBeText || head.contains { $0 < 0x09 || (0x0E..<0x20).contains($0) }
        }
    }

    private static let signed: [Signature] = [
        Signature(bytes: ZstdReader.magic, format: compressed("zstd", "zstd -dc")),
        Signature(bytes: [0xFD] + Array("7zXZ".utf8) + [0], format: compressed("xz", "xz -dc")),
        Signature(bytes: [0x04, 0x22, 0x4D, 0x18], format: compressed("LZ4", "lz4 -dc")),
        Signature(bytes: [0xFF, 0x06, 0, 0] + Array("sNaPpY".utf8), format: compressed("Snappy", "snzip -dc")),
        Signature(bytes: Array("BZh".utf8), mayBeText: true, format: compressed("bzip2", "bzip2 -dc")),
        Signature(bytes: [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C], format: archive("a 7z archive", "7z x -so FILE")),
        Signature(bytes: Array("ustar".utf8), offset: 257, format: archive("a tar archive", "tar -xOf FILE")),
        Signature(bytes: Array("PAR1".utf8), mayBeText: true, format: table("a Parquet file")),
        Signature(bytes: Array("ARROW1".utf8), mayBeText: true, format: table("an Arrow file")),
        Signature(
            bytes: Array("FEA1".utf8), mayBeText: true, format: ForeignFormat("a Feather file of version 1", convert)),
        Signature(bytes: Array("ORC".utf8), mayBeText: true, format: ForeignFormat("an ORC file", convert)),
        Signature(bytes: Array("Obj".utf8) + [1], format: ForeignFormat("an Avro file", convert)),
        Signature(bytes: [0x93] + Array("NUMPY".utf8), format: ForeignFormat("a NumPy array (.npy)", array)),
        Signature(
            bytes: [0x89] + Array("HDF".utf8) + [0x0D, 0x0A, 0x1A, 0x0A], format: ForeignFormat("an HDF5 file", convert)
        ),
        Signature(bytes: Array("SQLite format 3".utf8) + [0], format: ForeignFormat("an SQLite database", convert)),
        Signature(
            bytes: Array("%PDF-".utf8),
            format: ForeignFormat("a PDF document", "Import its text: pdftotext FILE FILE.txt")),
        Signature(bytes: Array("{\\rtf".utf8), format: ForeignFormat("a document in Rich Text Format", convert)),
        Signature(bytes: Array("GGUF".utf8), mayBeText: true, format: weights("a GGUF file")),
        Signature(bytes: [0xFF, 0xFE, 0, 0], format: encoded("UTF-32", "UTF-32")),
        Signature(bytes: [0, 0, 0xFE, 0xFF], format: encoded("UTF-32", "UTF-32")),
        Signature(bytes: [0xFF, 0xFE], format: encoded("UTF-16", "UTF-16")),
        Signature(bytes: [0xFE, 0xFF], format: encoded("UTF-16", "UTF-16")),
        Signature(bytes: [0x1F, 0x9D], format: compressed("compress", "zcat")),
    ]

    /// Formats without a signature of their own, or whose signature several formats share.
    private static func unsigned(_ head: [UInt8]) -> ForeignFormat? {
        guard head.count >= 4 else { return nil }
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) || head.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
            return zip(head)
        }
        if head[0] == 0x80, (2...5).contains(head[1]) { return ForeignFormat("a Python pickle", convert) }
        // A message of an Arrow stream begins with this mark.
        if head.starts(with: [0xFF, 0xFF, 0xFF, 0xFF]) { return table("an Arrow stream") }
        // Eight bytes with the header's length, then the header, which is JSON.
        if head.count > 9, head[5..<8].allSatisfy({ $0 == 0 }), head[8..<10].elementsEqual("{\"".utf8) {
            return weights("a safetensors file")
        }
        let isASCII = { (byte: UInt8) in (0x09..<0x7F).contains(byte) }
        if head[1] == 0, head[3] == 0, isASCII(head[0]), isASCII(head[2]) { return encoded("UTF-16", "UTF-16LE") }
        if head[0] == 0, head[2] == 0, isASCII(head[1]), isASCII(head[3]) { return encoded("UTF-16", "UTF-16BE") }
        return nil
    }

    private static func zip(_ head: [UInt8]) -> ForeignFormat {
        func holds(_ name: String) -> Bool { head.firstRange(of: Array(name.utf8)) != nil }
        if holds(".npy") { return ForeignFormat("a NumPy archive (.npz)", array) }
        if holds("data.pkl") { return weights("a PyTorch checkpoint") }
        if holds("[Content_Types].xml") || holds("mimetype") { return ForeignFormat("an office document", convert) }
        return archive("a zip archive", "unzip -p FILE")
    }

    // MARK: Advice

    private static let convert = "Write its texts as JSON lines, an object like {\"text\": \"...\"} on each."
    private static let array = "Import the texts themselves: token ids are made from them."

    private static func compressed(_ name: String, _ command: String) -> ForeignFormat {
        ForeignFormat("data compressed with \(name)", "Decompress it: \(command) FILE | tributary import -")
    }

    private static func archive(_ name: String, _ command: String) -> ForeignFormat {
        ForeignFormat(name, "Import the files in it: \(command) | tributary import -")
    }

    /// A table that is read at any offset: it is imported from a file alone.
    private static func table(_ name: String) -> ForeignFormat {
        ForeignFormat(name, "It is read from a file that is not compressed: save it as one and name that.")
    }

    private static func weights(_ name: String) -> ForeignFormat {
        ForeignFormat(name, "It holds weights and not text: a model is named with --model.")
    }

    private static func encoded(_ name: String, _ encoding: String) -> ForeignFormat {
        ForeignFormat("text in \(name)", "Convert it to UTF-8: iconv -f \(encoding) -t UTF-8 FILE > FILE.utf8")
    }
}
