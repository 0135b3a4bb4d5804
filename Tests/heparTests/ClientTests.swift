import Foundation
import TestSupport
import Testing

/// Programs that others wrote, against the real process: Python's requests, a STOW-RS client, clients that two generators
/// make of openapi.yaml, and schemathesis, which makes requests of it and holds the answers against it. `make test` installs them.
@Suite(
    .serialized,
    .enabled(if: Clients.folder != nil, "HEPAR_CLIENTS_VENV names no environment; `make test` makes one")
)
struct ClientTests {
    @Test func requestsGoesTheWholeWay() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            try Clients.run("python", Clients.script("journey.py"), server.url, phantom.ct.path, phantom.reference.path)
        }
    }

    /// Clients that programs made of the contract, as a server gives it.
    @Test(
        .enabled(if: Clients.has("openapi-python-client"), "openapi-python-client is not installed"))
    func aClientOfOpenapiPythonClientGoesTheWholeWay() throws {
        try withTemporaryFolder { folder in
            let config = SharedData.repository.appending(path: "Tests/Clients/openapi-python-client.yaml").path
            try Self.goTheWholeWay("generated_httpx.py", in: folder) { contract, made in
                try Clients.run(
                    "openapi-python-client", "generate", "--path", contract, "--meta", "none", "--config", config,
                    "--output-path", "\(made)/hepar_client")
            }
        }
    }

    @Test(
        .enabled(
            if: Clients.has("openapi-generator-cli") && Clients.hasJava,
            "openapi-generator-cli or a Java runtime is not installed"))
    func aClientOfOpenapiGeneratorGoesTheWholeWay() throws {
        try withTemporaryFolder { folder in
            try Self.goTheWholeWay("generated_urllib3.py", in: folder) { contract, made in
                try Clients.run("openapi-generator-cli", "generate", "-i", contract, "-g", "python", "-o", made)
            }
        }
    }

    private static func goTheWholeWay(
        _ script: String, in folder: URL, _ generate: (_ contract: String, _ made: String) throws -> Void
    ) throws {
        let phantom = try SmallPhantom(in: folder)
        let server = try ServerProcess(data: folder.appending(path: "data"))
        let contract = folder.appending(path: "openapi.yaml"), made = folder.appending(path: "made")
        try server.curl("/openapi.yaml").body.write(to: contract)
        try FileManager.default.createDirectory(at: made, withIntermediateDirectories: false)
        try generate(contract.path, made.path)
        try Clients.run(
            "python", Clients.script(script), server.url, phantom.ct.path, phantom.reference.path, made.path)
    }

    @Test(
        .enabled(if: SharedData.file("data/dicom") != nil, "no real DICOM series in HEPAR_SHARED"),
        arguments: [("hcc015_portal.zip", 61), ("ts_jpeg2000.zip", 20)])
    func aStowClientGoesTheWholeWay(series: String, slices: Int) throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_DICOM_KEEP_UIDS": "true"])
            let file = try #require(SharedData.file("data/dicom/\(series)"))
            try Clients.run("python", Clients.script("stow.py"), server.url, file.path, "\(slices)")
            // Nothing of the patient is logged.
            #expect(!server.logText.contains("1.2.") && !server.logText.contains("1.3."))
        }
    }

    /// No answer that openapi.yaml does not tell of, none of 5xx.
    @Test func schemathesisFindsNothing() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let options = #"options={"probabilities":true}"#
            let accepted = try server.curl("/v1/jobs", "-F", "image=@\(phantom.ct.path)", "-F", options)
            let id = try #require(try accepted.json()["id"] as? String)
            _ = try server.waitForEnd(of: id)
            let config = folder.appending(path: "schemathesis.toml")
            let text = try String(contentsOfFile: Clients.script("schemathesis.toml"), encoding: .utf8)
            let operations = ["getJob", "getMask", "getPreview", "getReport", "getProbabilities", "putReference"]
            let job =
                "\n[[operations]]\ninclude-operation-id = \(operations)\nparameters = { \"path.id\" = \"\(id)\" }\n"
            try Data((text + job).utf8).write(to: config)
            try Clients.run("st", "--config-file", config.path, "run", "openapi.yaml", "--url", server.url)
        }
    }
}

/// The Python environment of the clients.
private enum Clients {
    static let folder = ProcessInfo.processInfo.environment["HEPAR_CLIENTS_VENV"].map { URL(filePath: $0) }
        .flatMap { FileManager.default.fileExists(atPath: $0.appending(path: "bin/st").path) ? $0 : nil }

    static let hasJava = FileManager.default.isExecutableFile(atPath: "/usr/bin/java")

    static func has(_ program: String) -> Bool {
        folder.map { FileManager.default.fileExists(atPath: $0.appending(path: "bin/\(program)").path) } ?? false
    }

    static func script(_ name: String) -> String { SharedData.repository.appending(path: "Tests/Clients/\(name)").path }

    static func run(_ program: String, _ arguments: String...) throws {
        let program = try #require(folder).appending(path: "bin/\(program)")
        let outcome = try HeparProcess.run(program, arguments)
        #expect(outcome.status == 0, "\(outcome.output)\n\(outcome.error)")
    }
}
