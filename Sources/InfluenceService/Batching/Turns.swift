/// Lets a number of tasks at a time do something, and the others when it is their turn, in the order of their coming.
actor Turns {
    private var free: Int
    private var waiting: [(ticket: Int, task: CheckedContinuation<Bool, Never>)] = []
    private var lastTicket = 0

    init(count: Int) {
        free = count
    }

    /// Tasks that wait for their turn.
    var waitingCount: Int { waiting.count }

    /// Waits for a turn, which must be given back with ``give()``.
    ///
    /// - Returns: False where none came in time, or the task was cancelled: there is nothing to give back then.
    func take(within limit: Duration) async -> Bool {
        if free > 0 {
            free -= 1
            return true
        }
        lastTicket += 1
        let ticket = lastTicket
        // Runs on this actor, and so not before the wait has begun.
        let alarm = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            leave(ticket)
        }
        defer { alarm.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { task in
                waiting.append((ticket, task))
                if Task.isCancelled { leave(ticket) }
            }
        } onCancel: {
            Task { await self.leave(ticket) }
        }
    }

    /// Ends a turn: the task that has waited longest has the next.
    func give() {
        guard !waiting.isEmpty else {
            free += 1
            return
        }
        waiting.removeFirst().task.resume(returning: true)
    }

    /// Ends a wait for a turn, if that has not come.
    private func leave(_ ticket: Int) {
        guard let index = waiting.firstIndex(where: { $0.ticket == ticket }) else { return }
        waiting.remove(at: index).task.resume(returning: false)
    }
}
