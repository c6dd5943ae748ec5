import Testing

@testable import Corpus

@Suite("Content hashes")
struct ContentHashTests {
    @Test(
        "are SHA-256, at every length around a block's end",
        arguments: [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"),
            (56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"),
            (63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"),
            (64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"),
            (119, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"),
            (120, "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c"),
            (1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        ])
    func lengths(count: Int, digest: String) {
        #expect(ContentHash(of: String(repeating: "a", count: count)).hexadecimal == digest)
    }

    @Test("agree with the standard's examples")
    func examples() {
        #expect(
            ContentHash(of: "abc").hexadecimal == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            ContentHash(of: "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hexadecimal
                == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    }

    @Test("tell apart texts that only Unicode calls equal")
    func canonicalEquivalence() {
        #expect("\u{e9}" == "e\u{301}")
        #expect(ContentHash(of: "\u{e9}") != ContentHash(of: "e\u{301}"))
    }

    @Test("add up to the same sum in any order, with carries over all bytes")
    func sums() {
        let hashes = (0..<100).map { ContentHash(of: "text \($0)") }
        var forward = ContentHashSum()
        for hash in hashes { forward.add(hash) }
        var backward = ContentHashSum()
        for hash in hashes.reversed() { backward.add(hash) }
        #expect(forward == backward)

        var wrapped = ContentHashSum(bytes: [UInt8](repeating: 255, count: 32))
        wrapped.add(ContentHash(bytes: [2] + [UInt8](repeating: 0, count: 31)))
        #expect(wrapped.bytes == [1] + [UInt8](repeating: 0, count: 31))
    }
}
