// swift-tools-version: 6.2
import PackageDescription

/// `make test` replays what fuzzers have found. Where `HEPAR_FUZZ` is set, as `make fuzz` does, the same targets are driven
/// by libFuzzer, whose runtime brings `main`; it lists instrumented libraries to link in the system's place.
let fuzzed: [Target.Dependency] = [
    "API", "Access", "CZlib", "Cases", "Compute", "Dicom", "HTTPDaemon", "Imaging", "Inference", "Service", "Work",
    .product(name: "Logging", package: "swift-log"),
]
let fuzz: Target =
    if let libraries = Context.environment["HEPAR_FUZZ"] {
        .executableTarget(
            name: "hepar-fuzz", dependencies: fuzzed, path: "Tests/Fuzz",
            exclude: ["Corpora", "Dictionaries", "Replay"], swiftSettings: [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [
                .unsafeFlags(
                    (["--whole-archive"] + libraries.split(separator: " ").map(String.init) + ["--no-whole-archive"])
                        .flatMap { ["-Xlinker", $0] })
            ])
    } else {
        .testTarget(
            name: "FuzzTests", dependencies: fuzzed, path: "Tests/Fuzz",
            exclude: ["Corpora", "Dictionaries", "Driver"])
    }

/// Each target may use only those listed above it; docs/architecture.md says what each one hides.
let package = Package(
    name: "hepar",
    products: [.executable(name: "hepar", targets: ["hepar"])],
    // Exact: what was tested is what is built. `Software` and the list of materials tell them, and tests hold those to this.
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(name: "CMicrohttpd", pkgConfig: "libmicrohttpd", providers: [.apt(["libmicrohttpd-dev"])]),
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "COpenJPEG", pkgConfig: "libopenjp2", providers: [.apt(["libopenjp2-7-dev"])]),
        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
        // DCMTK's own pkg-config file names every library it has, and so would load its network code.
        .target(
            name: "CDicom", dependencies: ["COpenJPEG", "CZlib"],
            linkerSettings: ["dcmseg", "dcmfg", "dcmiod", "dcmjpls", "dcmjpeg", "dcmdata", "oflog", "ofstd"]
                .map { .linkedLibrary($0) }),
        .target(name: "CNifti", linkerSettings: [.linkedLibrary("nifti2"), .linkedLibrary("znz")]),
        // A value of the environment, since SwiftPM evaluates this file again when that changes, not when git's HEAD does.
        .target(
            name: "CBuild",
            cSettings: [.define("HEPAR_COMMIT", to: Context.environment["HEPAR_COMMIT"] ?? "unknown")]),
        .target(name: "CKernels"),
        .target(name: "CReceive"),
        .target(name: "CSandbox", linkerSettings: [.linkedLibrary("seccomp")]),
        .target(name: "Compute", dependencies: ["CKernels"]),
        .target(name: "Sandbox", dependencies: ["CSandbox"]),
        .target(name: "Digests", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "Imaging", dependencies: ["CNifti", "CZlib", "Compute"]),
        .target(name: "Dicom", dependencies: ["CDicom", "CZip", "Compute", "Digests", "Imaging", "Sandbox"]),
        .target(name: "Metrics", dependencies: ["Imaging", "Compute"]),
        .target(name: "Engine", dependencies: ["CKernels", "Compute"]),
        .target(name: "Inference", dependencies: ["COpenBLAS", "Compute", "Digests", "Engine"]),
        .target(name: "Segmentation", dependencies: ["Compute", "Digests", "Imaging", "Inference"]),
        .target(name: "Phantom", dependencies: ["Compute", "Imaging"]),
        .target(name: "Preview", dependencies: ["CPNG", "Compute", "Imaging", "Segmentation"]),
        .target(
            name: "Training",
            dependencies: [
                "CKernels", "Compute", "Engine", "Imaging", "Inference", "Metrics", "Phantom", "Preview",
                "Segmentation",
            ]),
        .target(name: "Jobs", dependencies: [.product(name: "Logging", package: "swift-log")]),
        .target(name: "SQLiteJobs", dependencies: ["Jobs", .product(name: "GRDB", package: "GRDB.swift")]),
        .target(
            name: "HTTPDaemon",
            dependencies: ["CMicrohttpd", "CReceive", .product(name: "Logging", package: "swift-log")]),
        .target(
            name: "Access",
            dependencies: [
                .product(name: "Crypto", package: "swift-crypto"), .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .target(name: "HTTPClient", dependencies: ["CCurl"]),
        .target(name: "Webhooks", dependencies: ["HTTPClient", .product(name: "Crypto", package: "swift-crypto")]),
        .target(
            name: "Bridge",
            dependencies: ["Dicom", "Digests", "HTTPClient", .product(name: "Logging", package: "swift-log")]),
        .target(name: "Telemetry", dependencies: [.product(name: "Logging", package: "swift-log")]),
        .target(
            name: "Cases",
            dependencies: [
                "Compute", "Dicom", "Digests", "Imaging", "Inference", "Metrics", "Preview", "Sandbox", "Segmentation",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .target(
            name: "Work",
            dependencies: [
                "Access", "Cases", "Compute", "Dicom", "Digests", "Imaging", "Jobs", "Sandbox", "Segmentation",
                "Telemetry", "Webhooks", .product(name: "Logging", package: "swift-log"),
            ]),
        .target(
            name: "API",
            dependencies: [
                "Access", "Cases", "Dicom", "Digests", "HTTPDaemon", "Imaging", "Jobs", "Metrics", "Sandbox",
                "Segmentation", "Telemetry", "Webhooks", "Work", .product(name: "Logging", package: "swift-log"),
            ],
            // A link to the contract in the repository's root.
            resources: [.embedInCode("openapi.yaml")]),
        .target(
            name: "Service",
            dependencies: [
                "API", "Access", "Cases", "Compute", "Dicom", "HTTPDaemon", "Imaging", "Inference", "Jobs", "Sandbox",
                "Segmentation", "Telemetry", "Webhooks", "Work",
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "hepar",
            dependencies: [
                "Access", "Bridge", "CBuild", "Cases", "Compute", "Dicom", "Digests", "Engine", "HTTPClient", "Imaging",
                "Inference", "Jobs", "Metrics",
                "Phantom", "Preview", "SQLiteJobs", "Sandbox", "Segmentation", "Service", "Telemetry", "Training",
                "Work",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .target(name: "TestSupport", dependencies: ["Imaging", "Inference"], path: "Tests/TestSupport"),
        // A store without a disk, for tests of what stands on one.
        .target(name: "MemoryJobs", dependencies: ["Jobs"], path: "Tests/MemoryJobs"),
        .testTarget(name: "ComputeTests", dependencies: ["Compute"]),
        .target(name: "CProbe", path: "Tests/CProbe"),
        .executableTarget(
            name: "SandboxProbe", dependencies: ["CProbe", "Compute", "Sandbox"], path: "Tests/SandboxProbe"),
        .testTarget(name: "SandboxTests", dependencies: ["Sandbox", "SandboxProbe"]),
        .testTarget(name: "ImagingTests", dependencies: ["Compute", "Imaging", "TestSupport"]),
        .testTarget(
            name: "DicomTests",
            dependencies: ["CZlib", "Cases", "Compute", "Dicom", "Imaging", "Sandbox", "TestSupport", "hepar"]),
        .testTarget(name: "MetricsTests", dependencies: ["Compute", "Imaging", "Metrics", "TestSupport"]),
        .testTarget(name: "EngineTests", dependencies: ["CKernels", "Compute", "Engine", "TestSupport"]),
        .testTarget(name: "InferenceTests", dependencies: ["Compute", "Engine", "Inference", "TestSupport"]),
        .testTarget(
            name: "SegmentationTests",
            dependencies: ["Compute", "Imaging", "Inference", "Phantom", "Segmentation", "TestSupport"]),
        .testTarget(name: "PhantomTests", dependencies: ["Compute", "Imaging", "Phantom", "TestSupport"]),
        .testTarget(name: "PreviewTests", dependencies: ["Compute", "Imaging", "Phantom", "Preview", "TestSupport"]),
        .testTarget(
            name: "TrainingTests",
            dependencies: ["Compute", "Imaging", "Inference", "Phantom", "TestSupport", "Training"]),
        .testTarget(
            name: "JobsTests",
            dependencies: [
                "Jobs", "MemoryJobs", "SQLiteJobs", "TestSupport", .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "AccessTests",
            dependencies: ["Access", "TestSupport", .product(name: "Logging", package: "swift-log")]),
        .testTarget(
            name: "BridgeTests",
            dependencies: ["Bridge", "HTTPClient", "TestSupport", .product(name: "Logging", package: "swift-log")]),
        .testTarget(name: "WebhooksTests", dependencies: ["TestSupport", "Webhooks"]),
        .testTarget(
            name: "TelemetryTests", dependencies: ["Telemetry", .product(name: "Logging", package: "swift-log")]),
        .testTarget(
            name: "HTTPDaemonTests",
            dependencies: ["HTTPDaemon", "TestSupport", .product(name: "Logging", package: "swift-log")]),
        .testTarget(
            name: "CasesTests", dependencies: ["Cases", "Compute", "Imaging", "Inference", "Phantom", "TestSupport"]),
        .testTarget(
            name: "WorkTests",
            dependencies: [
                "SQLiteJobs", "Telemetry", "TestSupport", "Webhooks", "Work",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "APITests",
            dependencies: [
                "API", "Access", "Cases", "Compute", "Dicom", "HTTPDaemon", "Imaging", "Jobs", "MemoryJobs", "Metrics",
                "Phantom", "Preview", "Segmentation", "Telemetry", "TestSupport", "Webhooks", "Work", "hepar",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ]),
        .testTarget(name: "ServiceTests", dependencies: ["Service", "TestSupport"]),
        .executableTarget(
            name: "LyingServer",
            dependencies: [
                "Compute", "Jobs", "SQLiteJobs", "Segmentation", "Service",
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Tests/LyingServer"),
        .testTarget(
            name: "heparTests",
            dependencies: [
                "Cases", "Compute", "HTTPClient", "Imaging", "Inference", "LyingServer", "Phantom", "TestSupport",
                "Webhooks",
                "hepar",
            ]),
        fuzz,
    ],
    cLanguageStandard: .gnu11,
    cxxLanguageStandard: .cxx17
)

/// What once was one target does not import by these rules yet, nor do those who look inside it.
let lenient: Set = [
    "Cases", "Work", "API", "Service", "hepar", "CasesTests", "WorkTests", "APITests", "ServiceTests", "heparTests",
    "LyingServer", "MemoryJobs", "DicomTests", "FuzzTests", "hepar-fuzz",
]

for target in package.targets where target.type != .system {
    // In CI a warning of the compiler it uses is an error; newer compilers of others have new warnings.
    if Context.environment["HEPAR_WARNINGS"] == "error" {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
        target.cSettings = (target.cSettings ?? []) + [.treatAllWarnings(as: .error)]
        target.cxxSettings = (target.cxxSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
    // What a file uses it imports, and what a target imports the list above declares.
    if !lenient.contains(target.name) {
        target.swiftSettings =
            (target.swiftSettings ?? []) + [
                .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
            ]
    }
}
