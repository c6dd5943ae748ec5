import Files
import Testing

@Suite("A content digest")
struct ContentDigestTests {
    static func digest(_ bytes: [UInt8]) -> String {
        var digest = ContentDigest()
        digest.update(bytes)
        return digest.hexadecimal
    }

    @Test(
        "is SHA-256",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ])
    func standardVectors(text: String, expected: String) {
        #expect(Self.digest(Array(text.utf8)) == expected)
        var digest = ContentDigest()
        digest.update(text)
        #expect(digest.hexadecimal == expected)
    }

    @Test("is SHA-256 of a million letters")
    func millionLetters() {
        let expected = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        #expect(Self.digest([UInt8](repeating: 0x61, count: 1_000_000)) == expected)
    }

    @Test("does not depend on how the bytes arrive", arguments: [1, 3, 55, 56, 63, 64, 65, 127, 128, 129, 1_000])
    func pieces(size: Int) {
        let bytes = (0..<777).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        var digest = ContentDigest()
        for start in stride(from: 0, to: bytes.count, by: size) {
            digest.update(Array(bytes[start..<min(start + size, bytes.count)]))
            // Looking at it in between changes nothing.
            _ = digest.hexadecimal
        }
        #expect(digest.hexadecimal == Self.digest(bytes))
    }

    @Test("tells apart messages of every length about the block's borders")
    func lengths() {
        let digests = (50...130).map { Self.digest([UInt8](repeating: 0, count: $0)) }
        #expect(Set(digests).count == digests.count)
        #expect(
            Self.digest([UInt8](repeating: 0, count: 64))
                == "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b")
    }

    @Test("equals another of the same bytes, and none that differs in any of them")
    func equality() {
        let bytes = (0..<32).map { UInt8(7 * $0) }
        #expect(bytes.isEqualInConstantTime(to: bytes))
        #expect(![UInt8]().isEqualInConstantTime(to: bytes) && [UInt8]().isEqualInConstantTime(to: []))
        #expect(!bytes.isEqualInConstantTime(to: Array(bytes.dropLast())))
        for index in bytes.indices {
            for bit in 0..<8 {
                var other = bytes
                other[index] ^= 1 << UInt8(bit)
                #expect(!bytes.isEqualInConstantTime(to: other))
                // A difference in front must not be made up for by one behind.
                for later in index..<32 where later > index && later % 5 == 0 {
                    var twice = other
                    twice[later] ^= 1 << UInt8(bit)
                    #expect(!bytes.isEqualInConstantTime(to: twice))
                }
            }
        }
    }
}
