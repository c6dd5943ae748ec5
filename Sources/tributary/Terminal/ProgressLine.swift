import Foundation
import Synchronization

/// Shows how far a piece of long work has come. May be told from any thread.
protocol ProgressDisplay: Sendable {
    /// Shows progress, unless that was done only just before.
    ///
    /// - Parameters:
    ///   - total: What `done` will reach; nil where that is not known.
    ///   - note: Shown behind the numbers.
    func update(_ done: Int, of total: Int?, unit: String, note: String)

    /// Says what somebody should know, while the work goes on.
    func warn(_ text: String)

    /// Ends it, with a word on how long the work took.
    func finish(_ note: String)

    /// Ends it where it stands.
    func abandon()
}

extension ProgressDisplay {
    func update(_ done: Int, of total: Int?, unit: String) { update(done, of: total, unit: unit, note: "") }
    func finish() { finish("") }
}

/// Progress on standard error: a bar that is redrawn on a terminal, a line now and then elsewhere.
final class ProgressLine: ProgressDisplay {
    private struct State {
        var lastDrawn: Date
        var hasBar = false
        var isEnded = false
    }

    private let title: String
    private let isTerminal: Bool
    private let start = Date()
    private let state: Mutex<State>

    init(_ title: String) {
        self.title = title
        isTerminal = isatty(STDERR_FILENO) == 1
        // Elsewhere than on a terminal, short work is told of only when it is done.
        state = Mutex(State(lastDrawn: isTerminal ? .distantPast : Date()))
    }

    func update(_ done: Int, of total: Int?, unit: String, note: String) {
        state.withLock { state in
            let isLast = done == total && isTerminal
            let interval = Date().timeIntervalSince(state.lastDrawn)
            guard !state.isEnded, isLast || interval > (isTerminal ? 0.1 : 5) else { return }
            state.lastDrawn = Date()
            let share = total.map { Double(done) / Double(max($0, 1)) }
            let numbers = total.map { "\(done)/\($0) \(unit)" } ?? "\(done) \(unit)"
            let left = share.flatMap { remaining($0) }.map { ", \($0) left" } ?? ""
            let text = [numbers + left, note].filter { !$0.isEmpty }.joined(separator: "  ")
            if isTerminal {
                write("\r\u{1B}[K" + line(share, text))
                state.hasBar = true
            } else {
                write("\(title): \(share.map { String(format: "%.0f %%, ", 100 * $0) } ?? "")\(text)\n")
            }
        }
    }

    func warn(_ text: String) {
        state.withLock { state in
            write("\(state.hasBar ? "\r\u{1B}[K" : "")tributary: warning: \(text)\n")
            state.hasBar = false
        }
    }

    func finish(_ note: String) {
        state.withLock { state in
            guard !state.isEnded else { return }
            state.isEnded = true
            let seconds = Date().timeIntervalSince(start)
            let clearing = state.hasBar ? "\r\u{1B}[K" : ""
            write("\(clearing)\(title): done in \(Self.duration(seconds))\(note.isEmpty ? "" : ", \(note)")\n")
        }
    }

    /// Ends it without a trace on a terminal.
    func clear() {
        state.withLock { state in
            if state.hasBar, !state.isEnded { write("\r\u{1B}[K") }
            state.isEnded = true
        }
    }

    func abandon() {
        state.withLock { state in
            if state.hasBar, !state.isEnded { write("\n") }
            state.isEnded = true
        }
    }

    /// A line that the terminal does not break, with a bar of what is left of its width.
    private func line(_ share: Double?, _ text: String) -> String {
        let width = (TerminalStyle.columns(of: STDERR_FILENO) ?? 80) - 1
        let barWidth = min(24, width - title.columns - text.columns - 2)
        guard let share, barWidth >= 6 else { return "\(title) \(text)".cut(to: width) }
        let filled = min(barWidth, max(0, Int(share * Double(barWidth))))
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: barWidth - filled)
        return "\(title) \(bar) \(text)"
    }

    private func remaining(_ share: Double) -> String? {
        let elapsed = Date().timeIntervalSince(start)
        guard share > 0, share < 1, elapsed > 2 else { return nil }
        return Self.duration(elapsed / share * (1 - share))
    }

    static func duration(_ seconds: Double) -> String {
        if seconds < 10 { return String(format: "%.1f s", seconds) }
        if seconds < 120 { return String(format: "%.0f s", seconds) }
        return String(format: "%d min %02d s", Int(seconds) / 60, Int(seconds) % 60)
    }

    private func write(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
}
