import CZlib

struct GunzipFailure: Error {
    let status: Int32
}

/// Decompresses as much of a gzip member as has arrived.
func gunzip(_ bytes: [UInt8]) throws -> [UInt8] {
    var stream = z_stream()
    var status = inflateInit2_(
        &stream, 16 + MAX_WBITS, zlibVersion(), Int32(MemoryLayout<z_stream>.size))
    defer { inflateEnd(&stream) }
    var output: [UInt8] = []
    var input = bytes
    input.withUnsafeMutableBufferPointer { buffer in
        stream.next_in = buffer.baseAddress
        stream.avail_in = UInt32(buffer.count)
        repeat {
            output += [UInt8](unsafeUninitializedCapacity: 1 << 16) { room, count in
                stream.next_out = room.baseAddress
                stream.avail_out = UInt32(room.count)
                status = inflate(&stream, Z_SYNC_FLUSH)
                count = room.count - Int(stream.avail_out)
            }
        } while stream.avail_out == 0 && status == Z_OK
    }
    guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status), stream.avail_in == 0 else {
        throw GunzipFailure(status: status)
    }
    return output
}
