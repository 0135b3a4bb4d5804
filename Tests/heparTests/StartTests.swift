import Foundation
import TestSupport
import Testing

/// How the server starts: from its options, with the model that lies beside it, or with all that is wrong.
@Suite struct StartTests {
    /// Settings of which each is a fault, and what the user is told of it.
    static let faults: [(settings: [String: String], words: [String])] = [
        (["HEPAR_HTTP_PORT": "-1"], ["http.port is -1"]),
        (
            ["HEPAR_AUTH_TOKENS_FILE": "/nowhere/tokens.yaml"],
            ["auth.tokens_file is /nowhere/tokens.yaml", "token add"]
        ),
        (
            ["HEPAR_WEBHOOKS_TARGETS": "ftp://a.example/x,https://fine.example/,gopher://b.example"],
            [
                "webhooks.targets is ftp://a.example/x", "webhooks.targets is gopher://b.example",
                "webhooks.secret_file is empty",
            ]
        ),
        (
            ["HEPAR_HTTP_TRUSTED_PROXIES": "10.0.0.1/8,127.0.0.1,nonsense"],
            ["http.trusted_proxies is 10.0.0.1/8", "http.trusted_proxies is nonsense"]
        ),
        (["HEPAR_MODEL_FOLDER": "/nowhere/model"], ["model.folder is /nowhere/model", "liver.safetensors"]),
        (["HEPAR_DATA_FOLDER": "/dev/null/data"], ["data.folder is /dev/null/data"]),
        (["HEPAR_JOBS_WORKERS": "many"], ["jobs.workers"]),
    ]

    private func expect(_ settings: [String: String], _ words: [String]) throws {
        let told = try ["check-config", "serve"].map { command in
            let outcome = try HeparProcess.run(command, environment: settings)
            #expect(outcome.status == 2, "\(command): \(outcome.error)")
            return outcome.error
        }
        #expect(told[0] == told[1])
        for word in words { #expect(told[0].contains(word), "\(told[0])") }
        #expect(!told[0].contains("NSCocoa") && !told[0].contains("Error Domain"), "\(told[0])")
        #expect(!told[0].contains("fine.example") && !told[0].contains("127.0.0.1"), "\(told[0])")
    }

    @Test func checkConfigAndServeTellEveryFaultAtOnce() throws {
        let all = Self.faults.reduce(into: [:]) { $0.merge($1.settings) { $1 } }
        try expect(all, Self.faults.flatMap(\.words))
    }

    @Test func eachFaultAloneStopsBoth() throws {
        for fault in Self.faults { try expect(fault.settings, fault.words) }
        let secret = "/nowhere/secret"
        let targets = ["HEPAR_WEBHOOKS_TARGETS": "https://fine.example/"]
        try expect(
            targets.merging(["HEPAR_WEBHOOKS_SECRET_FILE": secret]) { $1 },
            ["webhooks.secret_file is \(secret), which cannot be read: No such file or directory"])
        try expect(
            targets.merging(["HEPAR_WEBHOOKS_SECRET_FILE": "/etc"]) { $1 },
            ["webhooks.secret_file is /etc, which is a folder"])
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "secret")
            try Data("short".utf8).write(to: file)
            try expect(
                targets.merging(["HEPAR_WEBHOOKS_SECRET_FILE": file.path]) { $1 },
                ["webhooks.secret_file is \(file.path)", "openssl rand"])
            try Data(repeating: 0x61, count: 64).write(to: file)
            try expect(
                targets.merging([
                    "HEPAR_WEBHOOKS_SECRET_FILE": file.path, "HEPAR_WEBHOOKS_CA_FILE": "/nowhere/ca.pem",
                ]) { $1 }, ["webhooks.ca_file is /nowhere/ca.pem"])
        }
    }

    @Test func otherHostsThanThisMachineWantTokens() throws {
        for command in ["check-config", "serve"] {
            let outcome = try HeparProcess.run(command, environment: ["HEPAR_HTTP_HOST": "0.0.0.0"])
            #expect(outcome.status == 2)
            #expect(outcome.error.contains("http.host is 0.0.0.0") && outcome.error.contains("auth.tokens_file"))
        }
    }

    @Test func aFileThatCannotBeReadIsToldInWords() throws {
        try withTemporaryFolder { folder in
            let binary = folder.appending(path: "binary.yaml")
            try Data([0xFF, 0xFE, 0x80]).write(to: binary)
            for (path, words) in [
                ("/nowhere.yaml", "/nowhere.yaml cannot be read: No such file or directory"),
                (folder.path, "\(folder.path) is a folder"), (binary.path, "\(binary.path) is not text in UTF-8"),
            ] {
                for command in ["check-config", "serve", "audit", "health"] {
                    let outcome = try HeparProcess.run(command, "--config", path)
                    #expect(outcome.status == 2)
                    #expect(outcome.error.contains(words), "\(command): \(outcome.error)")
                }
            }
        }
    }

    /// What Foundation says of a file is told as the system says it.
    @Test func noErrorForProgrammersReachesTheUser() throws {
        try withTemporaryFolder { folder in
            let (ct, mask) = (try SmallPhantom(in: folder).ct.path, folder.appending(path: "mask.nii.gz").path)
            let report = folder.appending(path: "report")
            try FileManager.default.createDirectory(at: report, withIntermediateDirectories: true)
            let outcome = try HeparProcess.run("segment", ct, "--output", mask, "--report", report.path)
            #expect(outcome.status != 0)
            #expect(outcome.error.contains(report.path), "\(outcome.error)")
            #expect(!outcome.error.contains("NSCocoa") && !outcome.error.contains("Domain"), "\(outcome.error)")
        }
    }

    /// Its options win over the environment, and the model is the one beside the program, as for `segment`.
    @Test func serveTakesOptionsAndFindsTheModelFromAnywhere() throws {
        try withTemporaryFolder { folder in
            let data = folder.appending(path: "chosen")
            let server = try ServerProcess(
                data: folder.appending(path: "unused"),
                settings: ["HEPAR_HTTP_HOST": "192.0.2.1", "HEPAR_HTTP_PORT": "1"],
                arguments: ["--host", "127.0.0.1", "--port", "0", "--data", data.path], folder: folder)
            #expect(server.url.hasPrefix("http://127.0.0.1:"))
            #expect(try server.curl("/healthz").status == 200)
            #expect(FileManager.default.fileExists(atPath: data.appending(path: "jobs.sqlite").path))
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "unused").path))
            // The port is taken now.
            let port = try #require(server.url.split(separator: ":").last)
            let second = try HeparProcess.run(
                "serve", "--port", "\(port)", "--data", folder.appending(path: "second").path)
            #expect(second.status == 1 && second.error.contains("Another program listens there"), "\(second.error)")
        }
    }

    @Test func aModelThatIsNotThereIsNamed() throws {
        let outcome = try HeparProcess.run("serve", "--port", "0", "--model", "/nowhere/model")
        #expect(outcome.status == 2)
        #expect(outcome.error.contains("model.folder is /nowhere/model"), "\(outcome.error)")
    }
}
