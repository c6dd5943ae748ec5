import Foundation
import Synchronization

/// Shows the progress of long work. Called from any thread.
protocol ProgressDisplay: Sendable {
    /// Shows progress, unless it was shown a moment ago.
    ///
    /// - Parameters:
    ///   - total: The final value of `done`; `nil` if it is unknown.
    ///   - note: Shown after the numbers.
    func update(_ done: Int, of total: Int?, unit: String, note: String)

    /// Shows a warning while the work goes on.
    func warn(_ text: String)

    /// Ends the display, and says how long the work took.
    func finish(_ note: String)

    /// Ends the display and leaves it as it is.
    func abandon()
}

extension ProgressDisplay {
    func update(_ done: Int, of total: Int?, unit: String) { update(done, of: total, unit: unit, note: "") }
    func finish() { finish("") }
}

/// Shows and cancels long work.
struct TerminalControl {
    /// Makes the display of a step, by its title.
    var display: (_ title: String) -> any ProgressDisplay = { ProgressLine($0) }
    var isCancelled: @Sendable () -> Bool
}

/// Progress on standard error: a bar that is redrawn on a terminal; a line every few seconds elsewhere.
final class ProgressLine: ProgressDisplay {
    private struct State {
        var lastDrawn: Date
        var hasBar = false
        var isEnded = false
    }

    private let title: String
    private let isTerminal: Bool
    private let start = Date()
    /// Guards what was shown last. Nothing is written while it is locked.
    private let state: Mutex<State>

    init(_ title: String) {
        self.title = title
        isTerminal = isatty(STDERR_FILENO) == 1
        // Elsewhere than on a terminal, short work is reported only when it is done.
        state = Mutex(State(lastDrawn: isTerminal ? .distantPast : Date()))
    }

    func update(_ done: Int, of total: Int?, unit: String, note: String) {
        let isDue = state.withLock { state in
            let isLast = done == total && isTerminal
            let interval = Date().timeIntervalSince(state.lastDrawn)
            guard !state.isEnded, isLast || interval > (isTerminal ? 0.1 : 5) else { return false }
            state.lastDrawn = Date()
            state.hasBar = isTerminal
            return true
        }
        guard isDue else { return }
        let share = total.map { Double(done) / Double(max($0, 1)) }
        let numbers = total.map { "\(done)/\($0) \(unit)" } ?? "\(done) \(unit)"
        let left = share.flatMap { remaining($0) }.map { ", \($0) left" } ?? ""
        let text = [numbers + left, note].filter { !$0.isEmpty }.joined(separator: "  ")
        if isTerminal {
            write(Self.clearing + line(share, text))
        } else {
            write("\(title): \(share.map { String(format: "%.0f %%, ", 100 * $0) } ?? "")\(text)\n")
        }
    }

    func warn(_ text: String) {
        let hadBar = state.withLock { state in
            defer { state.hasBar = false }
            return state.hasBar
        }
        write("\(hadBar ? Self.clearing : "")tributary: warning: \(text)\n")
    }

    func finish(_ note: String) {
        guard let hadBar = end() else { return }
        let seconds = Self.duration(Date().timeIntervalSince(start))
        write("\(hadBar ? Self.clearing : "")\(title): done in \(seconds)\(note.isEmpty ? "" : ", \(note)")\n")
    }

    /// Ends the display, and removes it from a terminal.
    func clear() {
        if end() == true { write(Self.clearing) }
    }

    func abandon() {
        if end() == true { write("\n") }
    }

    /// - Returns: Whether a bar is on the terminal; `nil` if the display had ended before.
    private func end() -> Bool? {
        state.withLock { state in
            guard !state.isEnded else { return nil }
            state.isEnded = true
            return state.hasBar
        }
    }

    /// Returns to the start of the line, and erases it.
    private static let clearing = "\r\u{1B}[K"

    /// A line that the terminal does not break, with a bar in its remaining width.
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

/// The progress of work in stages: a line per stage, removed when the next stage begins. Called from any thread.
final class StagedProgress: Sendable {
    private let current = Mutex<(stage: String, line: ProgressLine)?>(nil)

    func show(_ stage: String, _ done: Int, of total: Int, unit: String) {
        let (line, ended) = current.withLock { current -> (ProgressLine, ProgressLine?) in
            if let current, current.stage == stage { return (current.line, nil) }
            let (line, ended) = (ProgressLine(stage), current?.line)
            current = (stage, line)
            return (line, ended)
        }
        ended?.clear()
        line.update(done, of: total, unit: unit)
    }

    func end() { current.withLock { $0.take() }?.line.clear() }
}
