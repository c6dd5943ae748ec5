import CZlib

/// The decompressed bytes of a gzip stream (RFC 1952), of one member or several in a row.
///
/// Zero bytes after the last member, which tapes and some tools leave there, are ignored.
final class GzipByteSource: ByteSource {
    /// The two bytes that every member begins with (RFC 1952, section 2.3.1).
    static let magic: [UInt8] = [0x1f, 0x8b]

    private let source: any ByteSource
    private let file: String
    private let inflater: Inflater
    private var input: ArraySlice<UInt8> = []
    private var isInsideMember = false
    private var hasMembers = false

    init(_ source: any ByteSource, file: String) throws {
        self.source = source
        self.file = file
        guard let inflater = Inflater() else {
            throw CorpusImportError.corruptGzip(file: file, reason: "zlib cannot be used")
        }
        self.inflater = inflater
    }

    var bytesRead: Int { source.bytesRead }

    func nextChunk() throws -> [UInt8]? {
        while true {
            if !isInsideMember, try !beginMember() { return nil }
            if input.isEmpty {
                guard let chunk = try source.nextChunk() else { throw CorpusImportError.truncatedGzip(file: file) }
                input = chunk[...]
            }
            switch inflater.inflate(&input) {
            case .output(let bytes, let isEndOfMember):
                isInsideMember = !isEndOfMember
                if !bytes.isEmpty { return bytes }
            case .failure(let reason):
                throw CorpusImportError.corruptGzip(file: file, reason: reason)
            }
        }
    }

    /// Finds the next member, past zero bytes; false at the end of the stream.
    private func beginMember() throws -> Bool {
        if hasMembers { input = input.drop { $0 == 0 } }
        while input.isEmpty, let chunk = try source.nextChunk() {
            input = hasMembers ? chunk[...].drop { $0 == 0 } : chunk[...]
        }
        guard let first = input.first else {
            guard hasMembers else { throw CorpusImportError.truncatedGzip(file: file) }
            return false
        }
        guard first == Self.magic[0] else {
            throw CorpusImportError.corruptGzip(
                file: file, reason: hasMembers ? "other data follows the compressed data" : "it is not in gzip format")
        }
        inflater.reset()
        isInsideMember = true
        hasMembers = true
        return true
    }
}

/// zlib's decompressor, set to gzip members.
///
/// The state of zlib must not move in memory and takes raw pointers: both stay in here.
private final class Inflater {
    enum Result {
        case output([UInt8], isEndOfMember: Bool)
        case failure(String)
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private static let outputSize = 1 << 18

    init?() {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 more than the window's bits asks for the gzip format (zlib.h, inflateInit2).
        let status = inflateInit2_(stream, 16 + MAX_WBITS, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            stream.deallocate()
            return nil
        }
        self.stream = stream
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func reset() {
        inflateReset(stream)
    }

    /// Decompresses some of the input, and takes away what it has used of it.
    func inflate(_ input: inout ArraySlice<UInt8>) -> Result {
        var status = Z_OK
        let available = input.count
        let output = [UInt8](unsafeUninitializedCapacity: Self.outputSize) { buffer, count in
            status = input.withUnsafeBufferPointer { bytes in
                stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
                stream.pointee.avail_in = UInt32(bytes.count)
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(buffer.count)
                return CZlib.inflate(stream, Z_NO_FLUSH)
            }
            count = buffer.count - Int(stream.pointee.avail_out)
        }
        // All of the input is used unless the output is full; what is left belongs to the next call.
        input = input.dropFirst(available - Int(stream.pointee.avail_in))
        let message = stream.pointee.msg.map { String(cString: $0) }
        return switch status {
        case Z_OK, Z_BUF_ERROR: .output(output, isEndOfMember: false)
        case Z_STREAM_END: .output(output, isEndOfMember: true)
        default: .failure(message ?? "zlib error \(status)")
        }
    }
}
