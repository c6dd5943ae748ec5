import Dispatch
import Foundation
import Synchronization

/// Transforms all elements on all cores; the results are in the order of the elements.
func concurrentMap<Element: Sendable, Result: Sendable>(
    _ elements: [Element], _ transform: @Sendable (Element) -> Result
) -> [Result] {
    // Several chunks a core, since some elements take longer than others.
    let chunkCount = min(elements.count, 16 * ProcessInfo.processInfo.activeProcessorCount)
    let chunks = Mutex([[Result]](repeating: [], count: chunkCount))
    DispatchQueue.concurrentPerform(iterations: chunkCount) { chunk in
        let range = (chunk * elements.count / chunkCount)..<((chunk + 1) * elements.count / chunkCount)
        let results = elements[range].map(transform)
        chunks.withLock { $0[chunk] = results }
    }
    return chunks.withLock { $0.flatMap { $0 } }
}
