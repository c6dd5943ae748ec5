// Fed by libFuzzer with GGUF files. The reader must not crash, and what it accepts must lie in the file: no tensor may have more values
// than its bytes explain (at most four per byte), no array more elements than bytes, and no string more characters than bytes.

import Foundation

@testable import Transformer

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGGUF(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Data(UnsafeBufferPointer(start: data, count: count))
    let file: GGUFFile
    do {
        file = try GGUFFile(path: "a.gguf", contents: bytes)
    } catch let error as GGUFError {
        precondition(!error.description.isEmpty)
        return 0
    } catch {
        preconditionFailure("\(error)")
    }
    for (key, value) in file.metadata {
        if case .array(let array) = value {
            precondition(array.count <= count && array.bytes.count <= count)
            if let strings = array.strings { precondition(strings.reduce(0) { $0 + $1.utf8.count } <= count) }
            if let integers = array.integers { precondition(integers.count == array.count) }
            if let numbers = array.numbers { precondition(numbers.count == array.count) }
        }
        _ = try? file.string(key)
        _ = try? file.number(key)
    }
    for (name, tensor) in file.tensors {
        precondition(tensor.byteRange.upperBound <= count)
        if let matrix = try? file.matrix(named: name) {
            precondition(matrix.count == tensor.shape.reduce(1, *) && matrix.count <= 4 * count)
        }
    }
    _ = try? file.tokenizerMetadata()
    do {
        let checkpoint = try GGUFCheckpoint(file: file)
        let decoder = try Checkpoint.decoder(from: checkpoint)
        precondition(decoder.parameterCount <= 8 * count)
    } catch {
        precondition(!"\(error)".isEmpty)
    }
    return 0
}
