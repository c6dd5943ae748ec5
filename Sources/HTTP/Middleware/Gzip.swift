import CZlib

/// zlib's compressor, writing one gzip member (RFC 1952).
///
/// The state of zlib must not move in memory and takes raw pointers: both stay in here.
struct Gzip: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// What happens to the bytes that zlib holds back in the hope of more like them.
    enum Flush {
        /// Nothing: they wait for more.
        case none
        /// All comes out, so that the reader can decompress as far as was written.
        case piece
        /// All comes out, and the member ends. Nothing may be written after it.
        case end
    }

    /// - Parameter level: From 1, the fastest, to 9, the smallest.
    /// - Returns: Nil without memory.
    init?(level: Int32) {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 more than the window's bits asks for the gzip format (zlib.h, deflateInit2).
        let status = deflateInit2_(
            stream, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY, zlibVersion(),
            Int32(MemoryLayout<z_stream>.size))
        guard status == Z_OK else {
            stream.deallocate()
            return nil
        }
        self.stream = stream
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Compresses some bytes.
    mutating func write(_ bytes: [UInt8], flush: Flush) -> [UInt8] {
        var output: [UInt8] = []
        var rest = bytes[...]
        // zlib counts in 32 bits.
        while rest.count > Self.inputLimit {
            output += write(rest.prefix(Self.inputLimit), mode: Z_NO_FLUSH)
            rest = rest.dropFirst(Self.inputLimit)
        }
        return output + write(rest, mode: flush.mode)
    }

    private static let inputLimit = 1 << 30

    private mutating func write(_ bytes: ArraySlice<UInt8>, mode: Int32) -> [UInt8] {
        var output: [UInt8] = []
        bytes.withUnsafeBufferPointer { input in
            stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.pointee.avail_in = UInt32(clamping: input.count)
            // deflate has written all there is when it leaves room (zlib.h).
            repeat {
                let room = Int(min(deflateBound(stream, UInt(stream.pointee.avail_in)), 1 << 20)) + 64
                output += [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
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

extension Gzip.Flush {
    fileprivate var mode: Int32 {
        switch self {
        case .none: Z_NO_FLUSH
        case .piece: Z_SYNC_FLUSH
        case .end: Z_FINISH
        }
    }
}
