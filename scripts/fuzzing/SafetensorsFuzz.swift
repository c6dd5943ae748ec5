// Fed by libFuzzer with safetensors files. The reader must not crash, a tensor must have as many values as its shape says, and none
// may take more memory than the file can explain: eight bytes for each of its bytes.

import Foundation

@testable import Transformer

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSafetensors(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Data(UnsafeBufferPointer(start: data, count: count))
    let file: SafetensorsFile
    do {
        file = try SafetensorsFile(path: "a.safetensors", contents: bytes)
    } catch let error as SafetensorsError {
        precondition(!error.description.isEmpty)
        return 0
    } catch {
        preconditionFailure("\(error)")
    }
    for (name, tensor) in file.tensors {
        precondition(tensor.count <= 8 * count)
        if let matrix = try? file.matrix(named: name) { precondition(matrix.count == tensor.count) }
        if let values = try? file.integers(named: name) { precondition(values.count == tensor.count) }
        if let values = try? file.doubles(named: name) { precondition(values.count == tensor.count) }
        _ = try? SafetensorsCollection(file: file).matrix(named: name)
    }
    return 0
}
