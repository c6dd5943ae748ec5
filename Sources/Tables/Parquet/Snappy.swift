import Files

/// Decompresses a Snappy block (github.com/google/snappy, format_description.txt).
enum Snappy {
    enum Mistake: Error {
        case corrupt(String)
    }

    /// An element of three bytes stands for at most 64.
    private static let highestRatio = 22

    /// - Parameter count: The number of bytes that the block must decompress to.
    static func decompress(_ input: ArraySlice<UInt8>, count: Int) throws(Mistake) -> [UInt8] {
        var position = input.startIndex
        let end = input.endIndex
        var announced: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < end, shift < 35 else { throw .corrupt("a Snappy block has no length") }
            let byte = input[position]
            position += 1
            announced |= UInt64(byte & 0x7f) << shift
            shift += 7
            if byte < 0x80 { break }
        }
        // The second check keeps a forged length from claiming memory.
        guard announced == UInt64(count), count <= 64 + Self.highestRatio * input.count else {
            throw .corrupt("a Snappy block of \(announced) bytes is where \(count) are expected")
        }

        var output = [UInt8](repeating: 0, count: count)
        var written = 0
        let source = input.span
        let sourceBytes = source.bytes
        position -= input.startIndex
        let length = source.count
        var span = output.mutableSpan
        var target = span.mutableBytes

        /// The little-endian number in the next bytes.
        func number(_ bytes: Int) throws(Mistake) -> Int {
            guard bytes <= length - position else { throw .corrupt("a Snappy block ends too early") }
            var value = 0
            for index in 0..<bytes { value |= Int(source[position + index]) << (8 * index) }
            return value
        }

        while position < length {
            let tag = source[position]
            position += 1
            var run: Int
            var offset = 0
            switch tag & 3 {
            case 0:
                run = Int(tag >> 2)
                if run >= 60 {
                    let bytes = run - 59
                    run = try number(bytes)
                    position += bytes
                }
                run += 1
                guard run <= length - position, run <= count - written else {
                    throw .corrupt("a literal of a Snappy block is too long")
                }
                var done = 0
                // Eight bytes at a time, as far as both ends are inside.
                while done < run, position + done + 8 <= length, written + done + 8 <= count {
                    let bytes = sourceBytes.littleEndian(UInt64.self, at: position + done)
                    target.storeBytes(of: bytes.littleEndian, toByteOffset: written + done, as: UInt64.self)
                    done += 8
                }
                while done < run {
                    target.storeBytes(of: source[position + done], toByteOffset: written + done, as: UInt8.self)
                    done += 1
                }
                position += run
                written += run
                continue
            case 1:
                run = 4 + Int(tag >> 2 & 7)
                offset = Int(tag >> 5) << 8 | (try number(1))
                position += 1
            case 2:
                run = 1 + Int(tag >> 2)
                offset = try number(2)
                position += 2
            default:
                run = 1 + Int(tag >> 2)
                offset = try number(4)
                position += 4
            }
            guard offset > 0, offset <= written, run <= count - written else {
                throw .corrupt("a copy in a Snappy block is outside of it")
            }
            var done = 0
            // What is written past the run is written again later.
            while offset >= 8, done < run, written + done + 8 <= count {
                let bytes = target.bytes.littleEndian(UInt64.self, at: written + done - offset)
                target.storeBytes(of: bytes.littleEndian, toByteOffset: written + done, as: UInt64.self)
                done += 8
            }
            while done < run {
                let byte = target.bytes.littleEndian(UInt8.self, at: written + done - offset)
                target.storeBytes(of: byte, toByteOffset: written + done, as: UInt8.self)
                done += 1
            }
            written += run
        }
        guard written == count else { throw .corrupt("a Snappy block ends too early") }
        return output
    }
}
