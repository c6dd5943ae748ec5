import CZstd

/// Why zstd data cannot be read.
public enum ZstdError: Error, Equatable {
    /// The stream ends before its data does.
    case truncated
    /// The data does not match its compression or its checksum.
    case corrupt(reason: String)
    /// The data refers back further than ``ZstdReader/largestWindow``.
    case windowTooLarge(limit: Int)
    /// The data decompresses to more bytes than the limit.
    case tooLarge(limit: Int)
    /// libzstd could not allocate its state.
    case noMemory
}

/// Decompresses a zstd stream (RFC 8878) of one frame or several in a row. Skippable frames are skipped.
public final class ZstdReader {
    /// The four bytes that every frame begins with (RFC 8878, section 3.1.1).
    public static let magic: [UInt8] = [0x28, 0xb5, 0x2f, 0xfd]

    /// The most bytes back that a frame can refer to, and so nearly all memory of a reader: what `zstd` itself accepts unless asked for
    /// more.
    public static let largestWindow = 1 << largestWindowBits
    fileprivate static let largestWindowBits: Int32 = 27

    private let nextInput: () throws -> [UInt8]?
    private let state: ZstdState
    private var input: ArraySlice<UInt8> = []
    private var isInsideFrame = false
    private var hasFrames = false
    /// Whether libzstd may hold decompressed bytes that did not fit into the last output.
    private var hasPendingOutput = false

    /// - Parameter nextInput: Returns the next compressed bytes, at least one; nil at the end.
    /// - Throws: ``ZstdError/noMemory``.
    public init(_ nextInput: @escaping () throws -> [UInt8]?) throws {
        self.nextInput = nextInput
        guard let state = ZstdState() else { throw ZstdError.noMemory }
        self.state = state
    }

    /// Whether a zstd stream can begin with these bytes: a frame's, or those of a skippable frame (RFC 8878, section 3.1.2).
    public static func isStart(_ bytes: some Collection<UInt8>) -> Bool {
        guard let first = bytes.first else { return false }
        return bytes.starts(with: magic)
            || (0x50...0x5f).contains(first) && bytes.dropFirst().starts(with: [0x2a, 0x4d, 0x18] as [UInt8])
    }

    /// The next decompressed bytes, at least one; nil at the end.
    ///
    /// - Throws: ``ZstdError``, or whatever reading the input throws.
    public func nextChunk() throws -> [UInt8]? {
        while true {
            if input.isEmpty, !hasPendingOutput {
                guard let chunk = try nextInput() else {
                    guard hasFrames, !isInsideFrame else { throw ZstdError.truncated }
                    return nil
                }
                input = chunk[...]
            }
            if !isInsideFrame, hasFrames, let first = input.first, first != Self.magic[0],
                !(0x50...0x5f).contains(first)
            {
                throw ZstdError.corrupt(reason: "other data follows the compressed data")
            }
            let (bytes, isEndOfFrame, isFull) = try state.decompress(&input)
            isInsideFrame = !isEndOfFrame
            hasFrames = true
            hasPendingOutput = isFull && !isEndOfFrame
            if !bytes.isEmpty { return bytes }
        }
    }
}

/// Decompresses zstd data whose size is known, again and again with one state.
public final class ZstdBlockReader {
    private let state: ZstdState

    /// - Throws: ``ZstdError/noMemory``.
    public init() throws {
        guard let state = ZstdState() else { throw ZstdError.noMemory }
        self.state = state
    }

    /// The data, decompressed.
    ///
    /// - Parameter count: The most bytes to return.
    /// - Throws: ``ZstdError``.
    public func decompress(_ bytes: ArraySlice<UInt8>, count: Int) throws -> [UInt8] {
        try state.decompressAll(bytes, limit: count)
    }
}

/// libzstd's decompressor, whose state is a pointer that stays inside this class.
private final class ZstdState {
    private let context: OpaquePointer
    private static let outputSize = 1 << 18

    init?() {
        guard let context = ZSTD_createDCtx() else { return nil }
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZstdReader.largestWindowBits)
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// Decompresses some of the input, and removes from it the bytes that were used.
    func decompress(_ input: inout ArraySlice<UInt8>) throws -> (bytes: [UInt8], isEndOfFrame: Bool, isFull: Bool) {
        var status = 0
        var used = 0
        let output = [UInt8](unsafeUninitializedCapacity: Self.outputSize) { buffer, count in
            status = input.withUnsafeBytes { bytes in
                var from = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
                var to = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
                let status = ZSTD_decompressStream(context, &to, &from)
                used = from.pos
                count = to.pos
                return status
            }
        }
        input = input.dropFirst(used)
        try check(status, limit: .max)
        return (output, status == 0, output.count == Self.outputSize)
    }

    func decompressAll(_ input: ArraySlice<UInt8>, limit: Int) throws -> [UInt8] {
        var status = 0
        let output = [UInt8](unsafeUninitializedCapacity: max(limit, 1)) { buffer, count in
            status = input.withUnsafeBytes { bytes in
                ZSTD_decompressDCtx(context, buffer.baseAddress, limit, bytes.baseAddress, bytes.count)
            }
            count = ZSTD_isError(status) == 0 ? status : 0
        }
        try check(status, limit: limit)
        return output
    }

    private func check(_ status: Int, limit: Int) throws {
        guard ZSTD_isError(status) != 0 else { return }
        switch ZSTD_getErrorCode(status) {
        case ZSTD_error_frameParameter_windowTooLarge: throw ZstdError.windowTooLarge(limit: ZstdReader.largestWindow)
        case ZSTD_error_dstSize_tooSmall: throw ZstdError.tooLarge(limit: limit)
        case ZSTD_error_memory_allocation: throw ZstdError.noMemory
        case ZSTD_error_srcSize_wrong: throw ZstdError.truncated
        default: throw ZstdError.corrupt(reason: String(cString: ZSTD_getErrorName(status)))
        }
    }
}
