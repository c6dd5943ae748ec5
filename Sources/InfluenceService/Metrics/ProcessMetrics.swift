import Foundation

/// What the kernel knows of this process, under the names that Prometheus's own client libraries use.
enum ProcessMetrics {
    /// What cannot be read is left out.
    static func families() -> [MetricFamily] {
        let ticks = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        let fields = statusFields()
        var families: [MetricFamily] = []
        if let pages = fields.value(24) {
            families.append(
                .gauge(
                    "process_resident_memory_bytes", "Resident memory.",
                    pages * Double(sysconf(Int32(_SC_PAGESIZE)))))
        }
        if let bytes = fields.value(23) {
            families.append(.gauge("process_virtual_memory_bytes", "Virtual memory.", bytes))
        }
        if let user = fields.value(14), let system = fields.value(15) {
            families.append(
                .counter("process_cpu_seconds_total", "CPU time of user and system.", (user + system) / ticks))
        }
        if let threads = fields.value(20) {
            families.append(.gauge("process_threads", "Threads.", threads))
        }
        if let start = fields.value(22), let boot = bootTime() {
            families.append(
                .gauge("process_start_time_seconds", "When the process started, since 1970.", boot + start / ticks))
        }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            // One of them is the folder itself.
            families.append(.gauge("process_open_fds", "Open file descriptors.", Double(max(files.count - 1, 0))))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            families.append(.gauge("process_max_fds", "File descriptors that may be open.", Double(limit.rlim_cur)))
        }
        return families
    }

    /// The fields of /proc/self/stat (proc(5)), numbered there from 1, from the third on.
    private struct StatusFields {
        var texts: [Substring]

        func value(_ number: Int) -> Double? {
            texts.indices.contains(number - 3) ? Double(texts[number - 3]) : nil
        }
    }

    private static func statusFields() -> StatusFields {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            // The second field is the program's name in parentheses, which may itself have any character.
            let end = text.lastIndex(of: ")")
        else { return StatusFields(texts: []) }
        return StatusFields(texts: text[text.index(after: end)...].split(separator: " "))
    }

    /// When the machine started, in seconds since 1970.
    private static func bootTime() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
    }
}
