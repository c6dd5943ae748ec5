// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "tributary",
    products: [
        .executable(name: "tributary", targets: ["tributary"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // Ground: C libraries and kernels.
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dnnl"), .linkedLibrary("gomp")]),
        .target(name: "COpenBLASKernels", dependencies: ["COpenBLAS"]),
        .target(name: "CVectorKernels"),
        .target(name: "CLinux"),

        // Floors 1 and 2: files, JSON, limits of input and numerics; storage, HTTP and tokenizers, which know nothing of each other.
        .target(name: "Files", dependencies: ["CLinux", "COpenSSL", "CZlib", "CZstd"]),
        .target(name: "JSON"),
        .target(name: "Tables", dependencies: ["Files", "JSON"]),
        .target(name: "Limits"),
        .target(name: "Sequences"),
        .target(name: "LinearAlgebra", dependencies: ["COneDNN", "COpenBLAS", "COpenBLASKernels", "CVectorKernels"]),
        .target(
            name: "Corpus",
            dependencies: [
                "Tables", "Files", "JSON", "Sequences", "CVectorKernels", .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .target(
            name: "HTTP",
            dependencies: [
                "Files", "CLinux", "COpenSSL",
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .target(name: "Tokenizer", dependencies: ["Files", "JSON", "Sequences"]),

        // Floor 3: the model.
        .target(
            name: "Transformer",
            dependencies: ["Tokenizer", "LinearAlgebra", "Files", "JSON", "Limits", "Sequences"]),

        // Floor 4: the factors.
        .target(name: "Curvature", dependencies: ["Transformer", "LinearAlgebra", "Files", "Sequences"]),

        // Floor 5: influence.
        .target(
            name: "Attribution",
            dependencies: [
                "Curvature", "Transformer", "Tokenizer", "LinearAlgebra", "Corpus", "Files", "JSON", "Limits",
                "Sequences", "CVectorKernels",
            ]),

        // Floor 6: the service, the only module in which HTTP and the numerics meet.
        .target(
            name: "InfluenceService",
            dependencies: [
                "Attribution", "Curvature", "Transformer", "Corpus", "HTTP", "LinearAlgebra", "Files",
                "JSON", "Limits", "CLinux",
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.copy("Dashboard/Resources"), .copy("Client/client.py")]),

        // Floor 6 too: gradient-boosted trees, which know nothing of the other modules of this floor.
        .target(name: "Trees", dependencies: ["Tables", "LinearAlgebra", "Files", "JSON", "Limits"]),

        // Floor 6 too: the studies of what scores are worth.
        .target(
            name: "Evaluation",
            dependencies: [
                "Attribution", "Curvature", "Transformer", "LinearAlgebra", "Corpus", "Files", "JSON", "Limits",
                "Sequences",
            ]),

        // Floor 7: the command line.
        .executableTarget(
            name: "tributary",
            dependencies: [
                "InfluenceService", "Evaluation", "Trees", "Tables", "Attribution", "Curvature", "Transformer",
                "Tokenizer",
                "LinearAlgebra",
                "Corpus", "Files", "JSON", "Limits", "Sequences", "CLinux",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.copy("Resources/default")]),

        // The program with which scripts/bench measures.
        .executableTarget(
            name: "Benchmarks",
            dependencies: ["Attribution", "Curvature", "Transformer", "LinearAlgebra", "Sequences", "CLinux"],
            path: "scripts/bench/Benchmarks"),

        .testTarget(name: "FilesTests", dependencies: ["Files", "TestScratch"]),
        .testTarget(name: "JSONTests", dependencies: ["JSON"]),
        .testTarget(name: "TablesTests", dependencies: ["Tables", "Files", "JSON"], exclude: ["Fixtures"]),
        .testTarget(name: "LimitsTests", dependencies: ["Limits"]),
        .testTarget(name: "SequencesTests", dependencies: ["Sequences"]),
        .testTarget(name: "LinearAlgebraTests", dependencies: ["LinearAlgebra", "COpenBLASKernels"]),
        .testTarget(name: "CorpusTests", dependencies: ["Corpus", "Files", "Sequences", "TestScratch"]),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP", "Files", "COpenSSL", "CZlib", "TestScratch"]),
        .testTarget(
            name: "TokenizerTests", dependencies: ["Tokenizer", "Files", "JSON", "TestScratch"], exclude: ["Fixtures"]),
        .testTarget(
            name: "TransformerTests",
            dependencies: ["Transformer", "Tokenizer", "Files", "Sequences", "TestScratch"],
            exclude: ["Fixtures"]),
        .testTarget(name: "CurvatureTests", dependencies: ["Curvature", "Files", "TestSupport"]),
        .testTarget(
            name: "AttributionTests", dependencies: ["Attribution", "Tokenizer", "JSON", "Sequences", "TestSupport"]),
        .testTarget(
            name: "TreesTests", dependencies: ["Trees", "Tables", "LinearAlgebra", "JSON"], exclude: ["Fixtures"]),
        .testTarget(name: "EvaluationTests", dependencies: ["Evaluation", "Tokenizer", "Sequences", "TestSupport"]),
        .testTarget(
            name: "InfluenceServiceTests",
            dependencies: ["InfluenceService", "Sequences", "TestSupport", "TestScratch"]),
        .testTarget(name: "CommandLineTests", dependencies: ["tributary", "JSON", "TestScratch"]),
        .target(
            name: "TestSupport",
            dependencies: [
                "Attribution", "Corpus", "Curvature", "Transformer", "LinearAlgebra", "Sequences", "TestScratch",
            ],
            path: "Tests/TestSupport"),
        .target(name: "TestScratch", path: "Tests/TestScratch"),
    ],
    swiftLanguageModes: [.v6]
)
