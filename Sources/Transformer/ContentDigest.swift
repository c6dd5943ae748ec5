import Foundation

/// A SHA-256 digest (FIPS 180-4) taken over bytes as they arrive.
///
/// Names content: models, tokenizers and sequences that have the same digest are the same. Feed lengths along with parts
/// of varying length (``update(_:)-(UInt64)``) where two different lists of parts must not give one digest.
public struct ContentDigest: Sendable {
    private var state = State()
    private var pending: [UInt8] = []
    private var byteCount: UInt64 = 0

    private static let blockSize = 64

    public init() {
        pending.reserveCapacity(Self.blockSize)
    }

    /// Takes more bytes. Cutting them differently over several calls changes nothing.
    public mutating func update(_ bytes: Span<UInt8>) {
        byteCount &+= UInt64(bytes.count)
        var position = 0
        if !pending.isEmpty {
            let taken = min(Self.blockSize - pending.count, bytes.count)
            for index in 0..<taken { pending.append(bytes[index]) }
            position = taken
            guard pending.count == Self.blockSize else { return }
            let block = pending
            state.compress(block.span)
            pending.removeAll(keepingCapacity: true)
        }
        let wholeBlocks = position + (bytes.count - position) / Self.blockSize * Self.blockSize
        state.compress(bytes.extracting(position..<wholeBlocks))
        for index in wholeBlocks..<bytes.count { pending.append(bytes[index]) }
    }

    public mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

    public mutating func update(_ bytes: Data) { update(bytes.span) }

    /// Takes a string's UTF-8 bytes, without its length.
    public mutating func update(_ text: String) { update(text.utf8Span.span) }

    /// Takes a number as eight bytes, least significant first.
    public mutating func update(_ number: UInt64) {
        var bytes = [8 of UInt8](repeating: 0)
        for index in 0..<8 { bytes[index] = UInt8(truncatingIfNeeded: number >> (8 * UInt64(index))) }
        update(bytes.span)
    }

    /// The 32 bytes of the digest of everything taken so far. More bytes may follow.
    public var bytes: [UInt8] {
        var final = self
        let bitCount = byteCount &* 8
        // FIPS 180-4, section 5.1.1: a one bit, zeros up to 56 bytes modulo 64, then the length in bits, big-endian.
        let zeros = (119 - Int(byteCount % UInt64(Self.blockSize))) % Self.blockSize
        final.update([0x80] + [UInt8](repeating: 0, count: zeros))
        final.update((0..<8).map { UInt8(truncatingIfNeeded: bitCount >> (56 - 8 * UInt64($0))) })
        return final.state.bigEndianBytes
    }

    /// The digest of everything taken so far as 64 lower-case hexadecimal digits.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}

extension ContentDigest {
    /// The eight words that are carried from block to block, with FIPS 180-4's initial values (section 5.3.3).
    private struct State: Sendable {
        private var words: [8 of UInt32] = [
            0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
        ]

        var bigEndianBytes: [UInt8] {
            words.indices.flatMap { index in
                stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: words[index] >> UInt32($0)) }
            }
        }

        /// Takes a whole number of 64-byte blocks.
        mutating func compress(_ blocks: Span<UInt8>) {
            var schedule = [64 of UInt32](repeating: 0)
            var start = 0
            while start + 64 <= blocks.count {
                let block = blocks.extracting(start..<start + 64)
                for index in 0..<16 {
                    schedule[index] =
                        UInt32(block[4 * index]) << 24 | UInt32(block[4 * index + 1]) << 16
                        | UInt32(block[4 * index + 2]) << 8 | UInt32(block[4 * index + 3])
                }
                for index in 16..<64 {
                    let early = schedule[index - 15]
                    let late = schedule[index - 2]
                    let sigma0 = rotated(early, 7) ^ rotated(early, 18) ^ early >> 3
                    let sigma1 = rotated(late, 17) ^ rotated(late, 19) ^ late >> 10
                    schedule[index] = sigma1 &+ schedule[index - 7] &+ sigma0 &+ schedule[index - 16]
                }
                mix(schedule.span)
                start += 64
            }
        }

        /// The 64 rounds, eight to a pass so that no word has to move from one variable to the next.
        @inline(__always)
        private mutating func mix(_ schedule: Span<UInt32>) {
            let constants = roundConstants.span
            var (a, b, c, d) = (words[0], words[1], words[2], words[3])
            var (e, f, g, h) = (words[4], words[5], words[6], words[7])
            var index = 0
            while index < 64 {
                round(a, b, c, &d, e, f, g, &h, schedule[index] &+ constants[index])
                round(h, a, b, &c, d, e, f, &g, schedule[index + 1] &+ constants[index + 1])
                round(g, h, a, &b, c, d, e, &f, schedule[index + 2] &+ constants[index + 2])
                round(f, g, h, &a, b, c, d, &e, schedule[index + 3] &+ constants[index + 3])
                round(e, f, g, &h, a, b, c, &d, schedule[index + 4] &+ constants[index + 4])
                round(d, e, f, &g, h, a, b, &c, schedule[index + 5] &+ constants[index + 5])
                round(c, d, e, &f, g, h, a, &b, schedule[index + 6] &+ constants[index + 6])
                round(b, c, d, &e, f, g, h, &a, schedule[index + 7] &+ constants[index + 7])
                index += 8
            }
            words[0] &+= a
            words[1] &+= b
            words[2] &+= c
            words[3] &+= d
            words[4] &+= e
            words[5] &+= f
            words[6] &+= g
            words[7] &+= h
        }
    }
}

@inline(__always)
private func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
    word &>> count | word &<< (32 &- count)
}

/// One round of FIPS 180-4, section 6.2.2: `d` and `h` become the next round's `e` and `a`.
@inline(__always)
private func round(
    _ a: UInt32, _ b: UInt32, _ c: UInt32, _ d: inout UInt32, _ e: UInt32, _ f: UInt32, _ g: UInt32, _ h: inout UInt32,
    _ input: UInt32
) {
    let sum1 = rotated(e ^ rotated(e ^ rotated(e, 14), 5), 6)
    let temporary1 = h &+ sum1 &+ (g ^ (e & (f ^ g))) &+ input
    let sum0 = rotated(a ^ rotated(a ^ rotated(a, 9), 11), 2)
    let temporary2 = sum0 &+ (((a ^ b) & (b ^ c)) ^ b)
    d = d &+ temporary1
    h = temporary1 &+ temporary2
}

private let roundConstants: [64 of UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
]
