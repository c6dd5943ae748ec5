import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A damaged or hostile safetensors file is refused")
struct SafetensorsRefusalTests {
    private let scratch: SafetensorsScratch
    private let name = "model.safetensors"

    init() throws {
        scratch = try SafetensorsScratch()
    }

    private func refusal(_ bytes: [UInt8]) throws -> SafetensorsError? {
        let path = try scratch.write(bytes)
        return safetensorsError { try SafetensorsFile(path: path) }
    }

    private func refusal(header: String, dataBytes: Int = 0) throws -> SafetensorsError? {
        try refusal(SafetensorsScratch.file(header: header, data: Array(repeating: 0, count: dataBytes)))
    }

    private func tensor(
        _ dtype: String = "F32", _ shape: String = "[1]", _ offsets: String = "[0,4]", name: String = "x"
    ) -> String {
        #""\#(name)":{"dtype":"\#(dtype)","shape":\#(shape),"data_offsets":\#(offsets)}"#
    }

    @Test("when there is none")
    func missing() throws {
        let path = scratch.path("absent.safetensors")
        #expect(safetensorsError { try SafetensorsFile(path: path) } == .missingFile(path: path))
        let below = try scratch.write([1], as: "file") + "/model.safetensors"
        #expect(safetensorsError { try SafetensorsFile(path: below) } == .missingFile(path: below))
    }

    @Test("when it is a folder, a device or a pipe")
    func notAFile() throws {
        let pipe = scratch.path("pipe")
        #expect(mkfifo(pipe, 0o600) == 0)
        for path in [scratch.folder, "/dev/zero", pipe] {
            #expect(safetensorsError { try SafetensorsFile(path: path) } == .notAFile(path: path))
        }
    }

    @Test("when it has no room for a header's length", arguments: [0, 1, 7])
    func short(count: Int) throws {
        #expect(
            try refusal(Array(repeating: 0, count: count)) == .tooShort(file: name, byteCount: count))
    }

    @Test("when its header ends past the file's end")
    func longHeader() throws {
        #expect(
            try refusal([200, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D]) == .truncated(file: name, expected: 208, found: 10))
    }

    @Test("when its header is longer than the format allows", arguments: [100_000_001, UInt64.max, 1 << 63])
    func enormousHeader(length: UInt64) throws {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
        #expect(
            try refusal(bytes + [0x7B, 0x7D])
                == .headerTooLong(file: name, length: length, limit: 100_000_000))
    }

    @Test(
        "when its header is not JSON of the right form",
        arguments: [
            "", " {}", "[]", "null", "{", "}", "{}}", "{} x", "{},", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1}",
            "{\"__metadata__\":{}", "{\"a\":null}", "{\"a\":[]}", "{a:{}}", "{'a':{}}", "{\"__metadata__\":[]}",
            "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":{}}}", "{\"__metadata__\":{\"a\":\"b\",}}",
            "{\"__metadata__\":{\"a\":\"\u{1}\"}}", "{\"__metadata__\":{\"a\":\"\\q\"}}",
            "{\"__metadata__\":{\"a\":\"\\u12\"}}", "{\"__metadata__\":{\"a\":\"\\u-123\"}}",
            "{\"__metadata__\":{\"a\":\"\\ud800\"}}", "{\"__metadata__\":{\"a\":\"\\udc00\"}}",
            "{\"__metadata__\":{\"a\":\"\\ud800\\u0041\"}}", "{\"__metadata__\":{\"a\":\"\\", "{}\0", "{}\u{A0}",
        ])
    func malformed(header: String) throws {
        guard case .malformedHeader(name, _, _) = try refusal(header: header) else {
            Issue.record("\(header) was not refused as malformed")
            return
        }
    }

    @Test("when its header is not UTF-8")
    func invalidUTF8() throws {
        let header = Array("{\"".utf8) + [0xFF] + Array("\":{}}".utf8)
        #expect(
            try refusal([UInt8(header.count), 0, 0, 0, 0, 0, 0, 0] + header)
                == .malformedHeader(file: name, byte: 9, problem: "expected a string of valid UTF-8"))
    }

    @Test("when its header nests 100,000 deep", arguments: ["[", "{\"a\":", "{\"shape\":[["])
    func deep(opening: String) throws {
        for prefix in ["", "{\"a\":", "{\"__metadata__\":", "{\"a\":{\"shape\":"] {
            guard
                case .malformedHeader = try refusal(header: prefix + String(repeating: opening, count: 100_000))
            else {
                Issue.record("nested \(prefix)\(opening) was not refused as malformed")
                return
            }
        }
    }

    @Test("when a key occurs twice")
    func duplicates() throws {
        let headers = [
            "{\(tensor()),\(tensor())}", "{\(tensor()),\(tensor(name: "\\u0078"))}",
            #"{"__metadata__":{},"__metadata__":{}}"#, #"{"__metadata__":{"a":"b","a":"c"}}"#,
            #"{"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            #"{"x":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#,
            #"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}"#,
        ]
        for header in headers {
            guard case .malformedHeader(name, _, let problem) = try refusal(header: header, dataBytes: 4) else {
                Issue.record("\(header) was not refused as malformed")
                continue
            }
            #expect(problem.contains("twice"), "\(header)")
        }
    }

    @Test("when a tensor's entry is not complete")
    func incomplete() throws {
        let headers = [
            #"{"x":{}}"#: "has no dtype", #"{"x":{"dtype":"F32","data_offsets":[0,4]}}"#: "has no shape",
            #"{"x":{"dtype":"F32","shape":[1]}}"#: "has no data_offsets",
        ]
        for (header, problem) in headers {
            #expect(
                try refusal(header: header, dataBytes: 4) == .invalidTensor(tensor: "x", file: name, problem: problem))
        }
        guard case .malformedHeader = try refusal(header: #"{"x":{"device":"cpu"}}"#) else {
            Issue.record("an unknown field was not refused")
            return
        }
    }

    @Test(
        "when a number is not an integer from 0",
        arguments: [
            "[-1]", "[1.0]", "[1e0]", "[1E1]", "[01]", "[+1]", "[0x1]", "[\"1\"]", "[null]", "[true]", "[[1]]", "[1,]",
            "[,1]", "[1 1]", "[9223372036854775808]", "[99999999999999999999999999]", "1", "{}",
        ])
    func numbers(shape: String) throws {
        guard case .malformedHeader = try refusal(header: "{\(tensor("F32", shape))}", dataBytes: 4) else {
            Issue.record("the shape \(shape) was not refused")
            return
        }
        guard case .malformedHeader = try refusal(header: "{\(tensor("F32", "[1]", shape))}", dataBytes: 4) else {
            Issue.record("the offsets \(shape) were not refused")
            return
        }
    }

    @Test(
        "when a tensor cannot be of its shape, type or size",
        arguments: [
            ("F32", "[4611686018427387904,4]", "[0,4]"), ("F32", "[2305843009213693952]", "[0,4]"),
            ("U8", "[9223372036854775807,2]", "[0,4]"), ("U8", "[4294967296,4294967296]", "[0,4]"),
            ("F32", "[9223372036854775807]", "[0,9223372036854775807]"), ("F4", "[3]", "[0,1]"),
            ("F32", "[2]", "[0,4]"), ("F32", "[1]", "[0,8]"), ("F16", "[1]", "[0,4]"), ("F32", "[0]", "[0,4]"),
            ("F32", "[]", "[0,0]"), ("F31", "[1]", "[0,4]"), ("", "[1]", "[0,4]"), ("f32", "[1]", "[0,4]"),
            ("F32", "[1]", "[4,0]"), ("F32", "[1]", "[]"), ("F32", "[1]", "[0]"), ("F32", "[1]", "[0,4,8]"),
        ])
    func impossible(dtype: String, shape: String, offsets: String) throws {
        guard
            case .invalidTensor("x", name, _) = try refusal(header: "{\(tensor(dtype, shape, offsets))}", dataBytes: 4)
        else {
            Issue.record("\(dtype) \(shape) \(offsets) was not refused")
            return
        }
    }

    @Test("when tensors overlap")
    func overlap() throws {
        let header = "{\(tensor()),\(tensor("F32", "[1]", "[2,6]", name: "y"))}"
        #expect(
            try refusal(header: header, dataBytes: 6)
                == .invalidTensor(tensor: "y", file: name, problem: "shares data bytes with another tensor"))
        guard
            case .invalidTensor = try refusal(header: "{\(tensor()),\(tensor(name: "y"))}", dataBytes: 4)
        else {
            Issue.record("two tensors in one place were not refused")
            return
        }
    }

    @Test("when bytes belong to no tensor: before, between or after them")
    func gaps() throws {
        let cases: [(String, Int, Range<Int>)] = [
            ("{\(tensor("F32", "[1]", "[4,8]"))}", 8, 0..<4),
            ("{\(tensor()),\(tensor("F32", "[1]", "[6,10]", name: "y"))}", 10, 4..<6),
            ("{\(tensor())}", 5, 4..<5), ("{}", 1, 0..<1),
        ]
        for (header, dataBytes, range) in cases {
            #expect(try refusal(header: header, dataBytes: dataBytes) == .uncoveredBytes(file: name, range: range))
        }
    }

    @Test("wherever it is cut off")
    func truncated() throws {
        let whole = SafetensorsScratch.file(
            header: #"{"__metadata__":{"a":"b"},\#(tensor())} "#, data: [0, 0, 128, 63])
        #expect(try refusal(whole) == nil)
        for count in 0..<whole.count {
            let error = try refusal(Array(whole[..<count]))
            switch error {
            case .tooShort where count < 8: break
            case .truncated(name, _, count) where count >= 8: break
            default: Issue.record("cut off after \(count) bytes: \(String(describing: error))")
            }
        }
        let error = try #require(try refusal(Array(whole.dropLast())))
        #expect(error.description.contains("download it again"))
    }

    @Test("in a sentence that brings no control characters to the terminal")
    func quotedNames() throws {
        let file = try SafetensorsFile(path: scratch.write(header: "{}"))
        let error = try #require(
            safetensorsError { try file.matrix(named: "\u{1B}[31m" + String(repeating: "x", count: 9999)) })
        #expect(!error.description.contains("\u{1B}"))
        #expect(error.description.count < 300)
    }
}
