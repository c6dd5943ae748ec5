import CLinux
import Foundation
import LinearAlgebra
import Transformer

// Measures on request, so that a script can let another program measure the same in between. Reads a setting from the file that the
// argument names, then one command per line from standard input ("sweep 2": the measurement and the number of workers), and answers
// each with a line of JSON.

// With the arguments "completions" and a model, no setting and no factors are needed: each line of input starts one measurement.

// Memory is handled as in a server, which also returns freed memory to the system every few seconds.
tributary_keep_little_freed_memory()
let encoder = JSONEncoder()
func answer(_ text: Data) throws { try FileHandle.standardOutput.write(contentsOf: text + Data("\n".utf8)) }
if CommandLine.arguments.count == 3, CommandLine.arguments[1] == "completions" {
    let cost = CompletionCost(decoder: try Checkpoint.loadDecoder(folder: CommandLine.arguments[2]))
    try answer(Data("ready".utf8))
    while readLine() != nil { try answer(encoder.encode(cost.measure())) }
    exit(0)
}
let file = URL(fileURLWithPath: CommandLine.arguments.dropFirst().first ?? "/dev/stdin")
let setting = try Setting(JSONDecoder().decode(Setting.Input.self, from: Data(contentsOf: file)))
let allWorkers = Workers(count: setting.input.workers)
let queries = try setting.preconditioned(setting.gradients(workers: allWorkers), workers: allWorkers)
tributary_return_freed_memory()
// Its records take four gigabytes, and are made only when the first scan is requested.
var scan: RecordScan?
try answer(Data("ready".utf8))
while let line = readLine() {
    let words = line.split(separator: " ")
    let workers = words.count > 1 ? Int(words[1]) ?? 1 : setting.input.workers
    if words.first == "scan" { scan = scan ?? RecordScan(setting.tracked) }
    let measurement =
        switch words.first {
        case "products": try setting.products(workers: workers)
        case "sweep": try setting.sweep(queries, workers: workers)
        case "half": try setting.sweep(queries, workers: workers, isInHalfPrecision: true)
        case "allocations": try setting.allocations(queries, workers: workers)
        case "queries": try setting.queries(workers: workers)
        case "scan": try scan?.measure(workers: workers)
        case "fit": try setting.fit(workers: workers)
        default: setting.memory()
        }
    try answer(encoder.encode(measurement))
}
