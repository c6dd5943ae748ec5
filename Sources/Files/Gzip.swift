import CZlib

/// Why a gzip stream cannot be read or written.
public enum GzipError: Error, Equatable {
    /// The stream ends before its data does.
    case truncated
    /// The data does not match its compression or its checksum.
    case corrupt(reason: String)
    /// The stream decompresses to more bytes than the limit.
    case tooLarge(limit: Int)
    /// zlib could not allocate its state.
    case noMemory
}

/// Decompresses a gzip stream (RFC 1952) of one member or several in a row.
///
/// Zero bytes after the last member, which tapes and some tools leave there, are ignored.
public final class GzipReader {
    /// The two bytes that every member begins with (RFC 1952, section 2.3.1).
    public static let magic: [UInt8] = [0x1f, 0x8b]

    private let nextInput: () throws -> [UInt8]?
    private let inflater: Inflater
    private var input: ArraySlice<UInt8> = []
    private var isInsideMember = false
    private var hasMembers = false

    /// - Parameter nextInput: Returns the next compressed bytes, at least one; nil at the end.
    /// - Throws: ``GzipError/corrupt(reason:)`` if zlib cannot be used.
    public init(_ nextInput: @escaping () throws -> [UInt8]?) throws {
        self.nextInput = nextInput
        guard let inflater = Inflater() else { throw GzipError.corrupt(reason: "zlib cannot be used") }
        self.inflater = inflater
    }

    /// The next decompressed bytes, at least one; nil at the end.
    ///
    /// - Throws: ``GzipError/truncated``, ``GzipError/corrupt(reason:)``, or whatever reading the input throws.
    public func nextChunk() throws -> [UInt8]? {
        while true {
            if !isInsideMember, try !beginMember() { return nil }
            if input.isEmpty {
                guard let chunk = try nextInput() else { throw GzipError.truncated }
                input = chunk[...]
            }
            let (bytes, isEndOfMember) = try inflater.inflate(&input)
            isInsideMember = !isEndOfMember
            if !bytes.isEmpty { return bytes }
        }
    }

    /// Finds the next member, past zero bytes; false at the end of the stream.
    private func beginMember() throws -> Bool {
        if hasMembers { input = input.drop { $0 == 0 } }
        while input.isEmpty, let chunk = try nextInput() {
            input = hasMembers ? chunk[...].drop { $0 == 0 } : chunk[...]
        }
        guard let first = input.first else {
            guard hasMembers else { throw GzipError.truncated }
            return false
        }
        guard first == Self.magic[0] else {
            throw GzipError.corrupt(
                reason: hasMembers ? "other data follows the compressed data" : "it is not in gzip format")
        }
        inflater.reset()
        isInsideMember = true
        hasMembers = true
        return true
    }

    /// Decompresses a whole stream in memory.
    ///
    /// - Parameters:
    ///   - limit: The most bytes to return. The stream is refused as soon as it exceeds them.
    ///   - willGrow: Receives the number of bytes about to be added to the result. An error that it throws ends the decompression.
    /// - Throws: ``GzipError``, or whatever `willGrow` throws.
    public static func decompress(
        _ bytes: [UInt8], limit: Int, willGrow: (Int) throws -> Void = { _ in }
    ) throws -> [UInt8] {
        var remaining = bytes[...]
        let reader = try GzipReader {
            let chunk = Array(remaining.prefix(1 << 18))
            remaining = remaining.dropFirst(chunk.count)
            return chunk.isEmpty ? nil : chunk
        }
        var decompressed: [UInt8] = []
        decompressed.reserveCapacity(min(announcedLength(of: bytes), limit))
        while let chunk = try reader.nextChunk() {
            guard decompressed.count + chunk.count <= limit else { throw GzipError.tooLarge(limit: limit) }
            try willGrow(chunk.count)
            decompressed += chunk
        }
        return decompressed
    }

    /// The length in the stream's last four bytes (RFC 1952 section 2.3.1), at most what deflate can produce from this many bytes.
    /// Reserved memory that stays unused is never touched.
    private static func announcedLength(of bytes: [UInt8]) -> Int {
        let length = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        return min(length, bytes.count * highestRatio)
    }

    /// One bit of deflate data stands for at most 129 bytes (zlib.net/zlib_tech.html).
    private static let highestRatio = 1032
}

/// zlib's decompressor for gzip members.
///
/// zlib's state must not move in memory and takes raw pointers: both stay inside this class.
private final class Inflater {
    private let stream: UnsafeMutablePointer<z_stream>
    private static let outputSize = 1 << 18

    init?() {
        let stream = makeStream { stream, windowBits, version, size in
            inflateInit2_(stream, windowBits, version, size)
        }
        guard let stream else { return nil }
        self.stream = stream
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func reset() {
        inflateReset(stream)
    }

    /// Decompresses some of the input, and removes from it the bytes that were used.
    func inflate(_ input: inout ArraySlice<UInt8>) throws -> (bytes: [UInt8], isEndOfMember: Bool) {
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
        // All of the input is used unless the output is full; the remainder belongs to the next call.
        input = input.dropFirst(available - Int(stream.pointee.avail_in))
        guard [Z_OK, Z_BUF_ERROR, Z_STREAM_END].contains(status) else {
            let message = stream.pointee.msg.map { String(cString: $0) }
            throw GzipError.corrupt(reason: message ?? "zlib error \(status)")
        }
        return (output, status == Z_STREAM_END)
    }
}

/// Compresses bytes into one gzip member (RFC 1952).
///
/// zlib's state must not move in memory and takes raw pointers: both stay inside this type.
public struct GzipWriter: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// When zlib writes out the bytes that it holds back for better compression.
    public enum Flush {
        /// Whenever zlib chooses.
        case none
        /// At once, so that the reader can decompress everything written so far.
        case chunk
        /// At once, and the member ends. Nothing can be written after it.
        case end

        fileprivate var mode: Int32 {
            switch self {
            case .none: Z_NO_FLUSH
            case .chunk: Z_SYNC_FLUSH
            case .end: Z_FINISH
            }
        }
    }

    /// - Parameter level: From 1, the fastest, to 9, the smallest; 0 stores the bytes as they are.
    /// - Returns: Nil if memory runs out.
    public init?(level: Int32) {
        let stream = makeStream { stream, windowBits, version, size in
            deflateInit2_(stream, level, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, version, size)
        }
        guard let stream else { return nil }
        self.stream = stream
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Compresses some bytes.
    public mutating func write(_ bytes: [UInt8], flush: Flush) -> [UInt8] {
        var output: [UInt8] = []
        var remaining = bytes[...]
        // zlib counts in 32 bits.
        while remaining.count > Self.inputLimit {
            output += write(remaining.prefix(Self.inputLimit), mode: Z_NO_FLUSH)
            remaining = remaining.dropFirst(Self.inputLimit)
        }
        return output + write(remaining, mode: flush.mode)
    }

    private static let inputLimit = 1 << 30

    private mutating func write(_ bytes: ArraySlice<UInt8>, mode: Int32) -> [UInt8] {
        var output: [UInt8] = []
        bytes.withUnsafeBufferPointer { input in
            stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.pointee.avail_in = UInt32(clamping: input.count)
            // deflate has written everything once it leaves some of the output unused (zlib.h).
            repeat {
                let capacity = Int(min(deflateBound(stream, UInt(stream.pointee.avail_in)), 1 << 20)) + 64
                output += [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(buffer.count)
                    _ = deflate(stream, mode)
                    count = buffer.count - Int(stream.pointee.avail_out)
                }
            } while stream.pointee.avail_out == 0
        }
        return output
    }
}

/// Allocates and initialises the state of zlib for the gzip format; nil if that fails.
private func makeStream(
    _ initialize: (_ stream: z_streamp, _ windowBits: Int32, _ version: UnsafePointer<CChar>?, _ size: Int32) -> Int32
) -> UnsafeMutablePointer<z_stream>? {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 16 more than the window's bits selects the gzip format (zlib.h, inflateInit2).
    guard initialize(stream, 16 + MAX_WBITS, zlibVersion(), Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        stream.deallocate()
        return nil
    }
    return stream
}
