import Foundation
import TestSupport
import Testing

@testable import Service

@Suite struct ServiceConfigTests {
    @Test func theFileOfTheRepositoryHoldsTheDefaults() async throws {
        let file = SharedData.repository.appending(path: "config/hepar.yaml")
        #expect(try await ServiceConfig.load(file: file, environment: [:]) == ServiceConfig())
    }

    @Test func theEnvironmentWinsOverTheFile() async throws {
        let file = SharedData.repository.appending(path: "config/hepar.yaml")
        let config = try await ServiceConfig.load(
            file: file, environment: ["HEPAR_HTTP_PORT": "9000", "HEPAR_COMPUTE_ALGORITHM": "reference", "PATH": "/"])
        #expect(config.port == 9000)
        #expect(config.algorithm == .reference)
        #expect(config.queueLimit == 1000)
    }

    @Test func everyKeyIsSetByItsVariableAndShown() async throws {
        let standard = ServiceConfig().effectiveSettings
        for (key, value) in standard {
            let name = "HEPAR_" + key.uppercased().replacingOccurrences(of: ".", with: "_")
            let config = try await ServiceConfig.load(file: nil, environment: [name: value])
            #expect(config == ServiceConfig(), "\(key)")
        }
    }

    /// What Kubernetes sets beside a Service is passed over; what is a setting, or a slip of the hand, is not.
    @Test func kubernetesVariablesAreNoSettings() async throws {
        let links = [
            "HEPAR_SERVICE_HOST": "10.0.0.1", "HEPAR_SERVICE_PORT": "8080", "HEPAR_SERVICE_PORT_HTTP": "8080",
            "HEPAR_PORT": "tcp://10.0.0.1:8080", "HEPAR_PORT_8080_TCP": "tcp://10.0.0.1:8080",
            "HEPAR_PORT_8080_TCP_PROTO": "tcp", "HEPAR_PORT_8080_TCP_PORT": "8080",
            "HEPAR_PORT_8080_TCP_ADDR": "10.0.0.1", "HEPAR_TEST_SERVICE_HOST": "10.0.0.2",
            "HEPAR_TEST_PORT": "udp://10.0.0.2:53",
        ]
        let config = try await ServiceConfig.load(
            file: nil, environment: links.merging(["HEPAR_HTTP_PORT": "9000"]) { $1 })
        #expect(config.port == 9000)
        #expect(config.ignoredVariables == links.keys.sorted())

        let slips = [
            "HEPAR_PORT": "8080", "HEPAR_SERVICE": "x", "HEPAR_HOST": "10.0.0.1", "HEPAR_PORT_8080": "8080",
            "HEPAR_HTTP_SERVICEHOST": "x", "HEPAR_HTTP_PORT": "tcp://10.0.0.1:80",
        ]
        for (name, value) in slips {
            await #expect(throws: ConfigError.self, "\(name)=\(value)") {
                _ = try await ServiceConfig.load(file: nil, environment: [name: value])
            }
        }
    }

    @Test func everyFaultIsToldAtOnce() async throws {
        let environment = [
            "HEPAR_HTTP_PORT": "70000", "HEPAR_JOBS_WORKERS": "many", "HEPAR_COMPUTE_ALGORITHM": "magic",
            "HEPAR_LOG_LEVEL": "loud", "HEPAR_HTTP_PROT": "1",
        ]
        let error = await #expect(throws: ConfigError.self) {
            _ = try await ServiceConfig.load(file: nil, environment: environment)
        }
        #expect(error?.problems.count == 5, "\(error?.description ?? "")")
    }

    /// The first was found by the fuzzer: it brought the process down.
    @Test(arguments: ["? a: b\n: 1\n", "? [a]\n: 1\n", "http:\n  ? {b: 1}\n  : 2\n"])
    func aKeyThatIsNoNameIsAFault(text: String) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "hepar-test-\(UUID().uuidString).yaml")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let error = await #expect(throws: ConfigError.self) {
            _ = try await ServiceConfig.load(file: file, environment: [:])
        }
        #expect(
            error?.problems.first?.hasSuffix("a key is no name. Give one, as http.") == true,
            "\(error?.description ?? "")")
    }
}
