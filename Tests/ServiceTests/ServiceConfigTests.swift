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
}
