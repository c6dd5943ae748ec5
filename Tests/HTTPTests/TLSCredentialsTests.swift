import Foundation
import Testing

@testable import HTTP

@Suite("A certificate and its key")
struct TLSCredentialsTests {
    private let certificates: Certificates
    private let certificate: String
    private let key: String

    init() throws {
        certificates = try Certificates()
        try certificates.makeSelfSigned("a")
        (certificate, key) = (certificates.path("a.pem"), certificates.path("a.key"))
    }

    private func error(certificate: String? = nil, key: String? = nil) -> TLSError? {
        do throws(TLSError) {
            _ = try TLSContext(
                TLSConfiguration(certificateFile: certificate ?? self.certificate, keyFile: key ?? self.key)
            )
            return nil
        } catch {
            return error
        }
    }

    private func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: certificates.folder.appending(path: name))
        return certificates.path(name)
    }

    @Test("are taken from two files or from one")
    func together() throws {
        #expect(error() == nil)
        let both = try ["a.key", "a.pem"].map {
            try String(contentsOfFile: certificates.path($0), encoding: .utf8)
        }
        let one = try write(both.joined(), to: "both.pem")
        #expect(error(certificate: one, key: one) == nil)
        let expiry = try #require(
            try TLSContext(TLSConfiguration(certificateFile: one, keyFile: one)).expiry)
        #expect(abs(expiry.timeIntervalSinceNow - 30 * 86_400) < 86_400)
    }

    @Test("are reported with the file's name if they are missing")
    func missing() {
        let nowhere = certificates.path("nowhere.pem")
        for found in [error(certificate: nowhere), error(key: nowhere)] {
            guard case .unreadable(nowhere, _) = found else {
                Issue.record("\(String(describing: found))")
                continue
            }
            #expect(found?.description.hasPrefix("\(nowhere): cannot be read (") == true)
        }
    }

    @Test("are refused if the files contain something else")
    func absent() throws {
        let text = try write("hello\n", to: "text.pem")
        #expect(error(certificate: text) == .noCertificate(file: text))
        #expect(error(key: text) == .noKey(file: text))
        #expect(error(certificate: key) == .noCertificate(file: key), "the two files are exchanged")
        #expect(error(key: certificate) == .noKey(file: certificate))
        let broken = try write(
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", to: "broken.key")
        guard case .unusableKey(broken, _) = error(key: broken) else {
            Issue.record("\(String(describing: error(key: broken)))")
            return
        }
        #expect(
            error(certificate: try write("", to: "empty.pem"))
                == .noCertificate(file: certificates.path("empty.pem")))
    }

    @Test("are refused if their text is damaged")
    func damaged() throws {
        let text = try String(contentsOfFile: certificate, encoding: .utf8)
        let damaged = try write(
            text.replacing("MII", with: "AAAA").replacing("MIIB", with: "AAAA"), to: "damaged.pem")
        guard case .unusableCertificate(damaged, _) = error(certificate: damaged) else {
            Issue.record("\(String(describing: error(certificate: damaged)))")
            return
        }
        let second = try write(
            text + "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", to: "second.pem")
        guard case .unusableCertificate(second, _) = error(certificate: second) else {
            Issue.record("\(String(describing: error(certificate: second)))")
            return
        }
    }

    @Test("are refused if the key needs a password", arguments: ["-aes256", "-traditional"])
    func encrypted(format: String) throws {
        let locked = certificates.path("locked.key")
        if format == "-traditional" {
            try certificates.openssl(
                "ec", "-aes128", "-in", key, "-passout", "pass:secret", "-out", locked)
        } else {
            try certificates.openssl(
                "pkey", format, "-in", key, "-passout", "pass:secret", "-out", locked)
        }
        #expect(error(key: locked) == .encryptedKey(file: locked))
    }

    @Test("are refused if they do not belong together")
    func mismatch() throws {
        try certificates.makeSelfSigned("b")
        try certificates.openssl("genrsa", "-out", certificates.path("rsa.key"), "2048")
        for other in ["b.key", "rsa.key"].map(certificates.path) {
            #expect(error(key: other) == .mismatch(certificateFile: certificate, keyFile: other))
        }
    }

    @Test("are refused if the key is too weak")
    func weak() throws {
        let (certificate, key) = (certificates.path("weak.pem"), certificates.path("weak.key"))
        try certificates.openssl(
            "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-keyout", key, "-out",
            certificate)
        #expect(
            error(certificate: certificate, key: key)
                == .unusableCertificate(file: certificate, reason: "ee key too small"))
    }

    @Test("that cannot be used keep a server from starting")
    func start() async throws {
        let nowhere = certificates.path("nowhere.pem")
        let configuration = HTTPServerConfiguration.with {
            $0.tls = TLSConfiguration(certificateFile: nowhere, keyFile: key)
        }
        let server = HTTPServer(configuration: configuration, logger: .silent) { _ in .text("") }
        let error = await #expect(throws: HTTPServerError.self) { try await server.start() }
        #expect(error?.description.hasPrefix("\(nowhere): cannot be read") == true)
    }
}
