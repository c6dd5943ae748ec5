// Fed by libFuzzer with config.json files. The reader must not crash, and the sizes of a decoder that it accepts must multiply
// without overflow.

import Foundation

@testable import Transformer

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfiguration(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        let configuration = try ModelConfiguration(json: Data(UnsafeBufferPointer(start: data, count: count)))
        let description = try configuration.family().description(of: configuration)
        precondition(description.width > 0 && description.layers > 0 && description.heads > 0)
        precondition(description.heads % description.keyValueHeads == 0)
        _ = description.queryWidth + description.keyValueWidth + description.projectedWidth
    } catch {
        precondition(error is CheckpointError && !"\(error)".isEmpty)
    }
    return 0
}
