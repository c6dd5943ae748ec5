import Foundation
import Glibc

/// A folder of certificates and keys for one test, which is removed with this object.
final class Certificates: Sendable {
    let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(
            path: "http-tests-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func path(_ name: String) -> String { folder.appending(path: name).path }

    /// Makes NAME.pem, which is self-signed, and NAME.key.
    func makeSelfSigned(_ name: String) throws {
        try openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
            "30", "-subj",
            "/CN=\(name)", "-addext", "subjectAltName=DNS:localhost", "-keyout", path("\(name).key"),
            "-out",
            path("\(name).pem"))
    }

    /// Makes root.pem, chain.pem with a certificate for localhost and then the intermediate authority's, and chain.key.
    func makeChain() throws {
        try makeSelfSigned("root")
        try Data("basicConstraints=critical,CA:TRUE\n".utf8).write(
            to: folder.appending(path: "authority.ext"))
        try Data("subjectAltName=DNS:localhost\n".utf8).write(to: folder.appending(path: "leaf.ext"))
        for (name, issuer) in [("authority", "root"), ("leaf", "authority")] {
            try openssl(
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                "/CN=\(name)",
                "-keyout", path("\(name).key"), "-out", path("\(name).csr"))
            try openssl(
                "x509", "-req", "-days", "30", "-in", path("\(name).csr"), "-CA", path("\(issuer).pem"),
                "-CAkey",
                path("\(issuer).key"), "-CAcreateserial", "-extfile", path("\(name).ext"), "-out",
                path("\(name).pem"))
        }
        let chain = try ["leaf.pem", "authority.pem"].map {
            try Data(contentsOf: folder.appending(path: $0))
        }
        try Data(chain.joined()).write(to: folder.appending(path: "chain.pem"))
        try FileManager.default.moveItem(atPath: path("leaf.key"), toPath: path("chain.key"))
    }

    /// Runs openssl. Foundation's Process is not used, because it would block one of the few threads that tests share.
    func openssl(_ arguments: String...) throws {
        let log = path("openssl.log")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var words: [UnsafeMutablePointer<CChar>?] = (["openssl"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process = pid_t()
        let code = posix_spawnp(&process, "openssl", &actions, nil, &words, environ)
        guard code == 0 else {
            throw Failure(said: "openssl cannot be run: \(String(cString: strerror(code)))")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        guard status == 0 else {
            throw Failure(said: (try? String(contentsOfFile: log, encoding: .utf8)) ?? "")
        }
    }

    struct Failure: Error {
        let said: String
    }
}
