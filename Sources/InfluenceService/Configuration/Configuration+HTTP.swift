import HTTP

extension Configuration.Server {
    /// Where certificate and key are, or nil for plain HTTP.
    ///
    /// - Throws: ``ConfigurationError`` where one of the two is set without the other.
    var tls: TLSConfiguration? {
        get throws(ConfigurationError) {
            switch (tlsCertificate, tlsKey) {
            case (nil, nil): return nil
            case (let certificate?, let key?):
                return TLSConfiguration(certificateFile: certificate, keyFile: key, minimumVersion: tlsMinimumVersion)
            case (nil, _?), (_?, nil):
                let (missing, other) = tlsKey == nil ? ("tls_key", "tls_certificate") : ("tls_certificate", "tls_key")
                throw .wrongValue(
                    key: "server.\(missing)", origin: .caller, expected: "a path where server.\(other) is set",
                    found: "null")
            }
        }
    }

    /// What is done to every request and response, the outermost first: permission to read covers all that follows.
    var middleware: [any Middleware] {
        [CrossOrigin(origins: corsOrigins)] + (compression == .gzip ? [Compression()] : [])
    }
}

extension HTTPServerConfiguration {
    /// - Throws: ``ConfigurationError`` for settings that do not go together.
    init(_ settings: Configuration.Server) throws(ConfigurationError) {
        self.init(
            host: settings.host, port: UInt16(clamping: settings.port), threads: settings.ioThreads,
            maximumConnections: settings.maximumConnections,
            maximumConnectionsPerAddress: settings.maximumConnectionsPerAddress, backlog: settings.backlog,
            trustedProxies: TrustedProxies(settings.trustedProxies), hostNames: settings.hostNames,
            tls: try settings.tls,
            limits: RequestLimits(
                targetBytes: settings.maximumTargetBytes, headerBytes: settings.maximumHeaderBytes,
                headerCount: settings.maximumHeaderFields, bodyBytes: settings.maximumBodyBytes),
            maximumBodyBytesInFlight: settings.maximumBodyBytesInFlight,
            timeouts: Timeouts(
                header: .seconds(settings.headerTimeoutSeconds), body: .seconds(settings.bodyTimeoutSeconds),
                minimumBodyRate: settings.minimumBodyBytesPerSecond, idle: .seconds(settings.idleTimeoutSeconds),
                write: .seconds(settings.writeTimeoutSeconds)))
    }
}
