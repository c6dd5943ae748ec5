import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("A collection of safetensors files")
struct SafetensorsCollectionTests {
    private let scratch: SafetensorsScratch

    init() throws {
        scratch = try SafetensorsScratch()
    }

    private func write(_ tensors: [String: [Float]], as name: String) throws {
        var writer = SafetensorsWriter()
        for (tensor, values) in tensors {
            writer.add(tensor, Matrix(rows: 1, columns: values.count, elements: values))
        }
        try writer.write(to: scratch.path(name))
    }

    private func writeIndex(_ json: String) throws {
        try scratch.write(Data(json.utf8), as: "model.safetensors.index.json")
    }

    private func refusal() -> SafetensorsError? {
        safetensorsError { try SafetensorsCollection(folder: scratch.folder) }
    }

    @Test("is the one file of a folder")
    func single() throws {
        try write(["b": [1, 2], "a": [3]], as: "model.safetensors")
        let weights = try SafetensorsCollection(folder: scratch.folder)
        #expect(weights.names == ["a", "b"])
        #expect(weights.contains("a"))
        #expect(!weights.contains("c"))
        #expect(weights.shape(of: "b") == [1, 2])
        #expect(weights.shape(of: "c") == nil)
        #expect(try weights.matrix(named: "b", rows: 1, columns: 2).elements == [1, 2])
        #expect(try weights.matrix(named: "a").elements == [3])
        #expect(
            safetensorsError { try weights.matrix(named: "c") }
                == .missingTensor(tensor: "c", file: "model.safetensors"))
    }

    @Test("is the shards that an index lists")
    func shards() throws {
        try write(["a": [1]], as: "one.safetensors")
        try write(["b": [2]], as: "two.safetensors")
        try writeIndex(
            #"{"metadata":{"total_size":8,"x":[1,{}]},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#)
        let weights = try SafetensorsCollection(folder: scratch.folder)
        #expect(weights.names == ["a", "b"])
        #expect(try weights.matrix(named: "a").elements == [1])
        #expect(try weights.matrix(named: "b", rows: 1, columns: 1).elements == [2])
        #expect(
            safetensorsError { try weights.matrix(named: "c") }
                == .missingTensor(tensor: "c", file: "model.safetensors.index.json"))
        #expect(
            safetensorsError { try weights.matrix(named: "b", rows: 2, columns: 2) }
                == .wrongShape(tensor: "b", file: "two.safetensors", expected: [2, 2], found: [1, 1]))
    }

    @Test("refuses a shard with a tensor that the index does not list, or lists for another shard")
    func unlisted() throws {
        try write(["a": [1], "more": [9]], as: "one.safetensors")
        try write(["b": [2]], as: "two.safetensors")
        try writeIndex(#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#)
        let index = SafetensorsCollection.indexName
        #expect(
            refusal() == .unlistedTensor(tensor: "more", file: "one.safetensors", index: index, listed: nil))
        try write(["a": [1], "b": [9]], as: "one.safetensors")
        #expect(
            refusal()
                == .unlistedTensor(tensor: "b", file: "one.safetensors", index: index, listed: "two.safetensors"))
        #expect(refusal()?.description.contains("lists for \"two.safetensors\"") == true)
    }

    @Test("refuses an index that lists a tensor twice")
    func listedTwice() throws {
        try write(["a": [1]], as: "one.safetensors")
        try write(["a": [2]], as: "two.safetensors")
        try writeIndex(#"{"weight_map":{"a":"one.safetensors","a":"two.safetensors"}}"#)
        #expect(refusal()?.description.contains("appears twice") == true)
    }

    @Test("prefers the one file to an index, and needs none of its shards")
    func both() throws {
        try write(["a": [1]], as: "model.safetensors")
        try writeIndex(#"{"weight_map":{"a":"absent.safetensors"}}"#)
        #expect(try SafetensorsCollection(folder: scratch.folder).matrix(named: "a").elements == [1])
    }

    @Test("names the folder that has no weights")
    func empty() throws {
        #expect(refusal() == .missingWeights(folder: scratch.folder))
        let absent = scratch.path("absent")
        #expect(
            safetensorsError { try SafetensorsCollection(folder: absent) } == .missingWeights(folder: absent))
    }

    @Test("names the shard that is missing")
    func missingShard() throws {
        try write(["a": [1]], as: "one.safetensors")
        try writeIndex(#"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#)
        #expect(
            refusal()
                == .missingShard(
                    shard: "two.safetensors", index: "model.safetensors.index.json", folder: scratch.folder))
    }

    @Test("names the tensor that its shard lacks")
    func missingTensor() throws {
        try write(["a": [1]], as: "one.safetensors")
        try writeIndex(#"{"weight_map":{"a":"one.safetensors","b":"one.safetensors"}}"#)
        #expect(refusal() == .missingTensor(tensor: "b", file: "one.safetensors"))
    }

    @Test("names the shard that is damaged")
    func damagedShard() throws {
        try scratch.write([1, 2, 3], as: "one.safetensors")
        try writeIndex(#"{"weight_map":{"a":"one.safetensors"}}"#)
        #expect(refusal() == .tooShort(file: "one.safetensors", byteCount: 3))
    }

    @Test(
        "reaches no file outside its folder",
        arguments: [
            "../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\\u0000b",
            "\\u002e\\u002e\\u002fx",
        ])
    func escape(shard: String) throws {
        try writeIndex(#"{"weight_map":{"a":"\#(shard)"}}"#)
        guard case .malformedIndex("model.safetensors.index.json", let problem) = refusal() else {
            Issue.record("the shard \(shard) was not refused")
            return
        }
        #expect(problem.contains("plain file name"))
    }

    @Test(
        "needs an index of the right form",
        arguments: [
            "", "{}", "[]", "null", "{", #"{"weight_map":[]}"#, #"{"weight_map":{"a":1}}"#, #"{"weight_map":null}"#,
            #"{"weight_map":{"a":{}}}"#, "\u{0}",
        ])
    func malformedIndex(json: String) throws {
        try writeIndex(json)
        guard case .malformedIndex = refusal() else {
            Issue.record("the index \(json) was not refused")
            return
        }
    }

    @Test("survives an index that nests 100,000 deep", arguments: ["[", "{\"a\":", "{\"weight_map\":"])
    func deepIndex(opening: String) throws {
        try writeIndex(String(repeating: opening, count: 100_000))
        guard case .malformedIndex = refusal() else {
            Issue.record("the index was not refused")
            return
        }
    }

    @Test("does not read an index of absurd length")
    func longIndex() throws {
        try writeIndex("{}")
        #expect(truncate(scratch.path("model.safetensors.index.json"), 100_000_001) == 0)
        guard case .malformedIndex(_, let problem) = refusal() else {
            Issue.record("the index was not refused")
            return
        }
        #expect(problem.contains("100000001 bytes"))
    }

    @Test("does not take a folder for an index")
    func folderAsIndex() throws {
        try FileManager.default.createDirectory(
            atPath: scratch.path("model.safetensors.index.json"), withIntermediateDirectories: false)
        #expect(refusal() == .notAFile(path: scratch.path("model.safetensors.index.json")))
    }

    @Test(
        "refuses values that are not finite, and says where they are",
        arguments: [
            (Float.nan, "NaN"), (-Float.nan, "NaN"), (.infinity, "inf"), (-.infinity, "-inf"),
            (.signalingNaN, "NaN"),
        ])
    func nonFinite(value: Float, text: String) throws {
        var matrix = Matrix(rows: 5, columns: 7)
        matrix[3, 2] = value
        matrix[4, 6] = value
        var writer = SafetensorsWriter()
        writer.add("x", matrix)
        try writer.write(to: scratch.path("model.safetensors"))
        let weights = try SafetensorsCollection(folder: scratch.folder)
        let expected = SafetensorsError.nonFiniteValue(
            tensor: "x", file: "model.safetensors", row: 3, column: 2, value: text)
        #expect(safetensorsError { try weights.matrix(named: "x") } == expected)
        #expect(safetensorsError { try weights.matrix(named: "x", rows: 5, columns: 7) } == expected)
    }

    @Test("accepts the largest, the smallest and negative numbers")
    func extremes() throws {
        let values: [Float] = [
            .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0, 0,
        ]
        try write(["x": values], as: "model.safetensors")
        #expect(try SafetensorsCollection(folder: scratch.folder).matrix(named: "x").elements == values)
    }

    @Test("takes a tensor without values as it is")
    func noValues() throws {
        var writer = SafetensorsWriter()
        writer.add("x", Matrix(rows: 0, columns: 3))
        try writer.write(to: scratch.path("model.safetensors"))
        let matrix = try SafetensorsCollection(folder: scratch.folder).matrix(named: "x")
        #expect((matrix.rows, matrix.columns) == (0, 3))
    }
}
