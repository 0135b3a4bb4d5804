import Access
import Foundation
import HTTPDaemon
import Logging
import TestSupport
import Testing

@testable import API

/// From the head of a request to its answer.
@Suite struct RouteTests {
    @Test func whatIsNotThereIs404AndAnotherMethod405() throws {
        try InProcess.withServer { server in
            func status(_ method: String, _ path: String) throws -> Int {
                try server.send(InProcess.Ask(method: method, path: path)).status
            }
            let statuses = [
                try status("GET", "/v1/nothing"), try status("GET", "/v1/jobs/a/b/c"), try status("PATCH", "/v1/jobs"),
            ]
            #expect(statuses == [404, 404, 405])
        }
    }

    /// An upload may take minutes: who was let in when it began is looked at again when it is whole.
    @Test func aTokenThatIsRevokedDuringAnUploadIsRefused() throws {
        try withTemporaryFolder { folder in
            let file = TokenFile(folder.appending(path: "tokens.yaml"))
            let token = try file.add(name: "a", roles: [.submit]).text
            let watch = try TokenWatch(file, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try InProcess.withServer(InProcess.Settings(tokens: watch)) { server in
                let ask = InProcess.Ask(
                    method: "POST", path: "/v1/jobs", token: token,
                    body: ("application/octet-stream", SmallScan.ct))
                let (head, plan) = server.plan(ask)
                try file.revoke("a")
                // The file is looked at once a second.
                for _ in 0..<1_000 where !watch.book().entries.isEmpty { usleep(10_000) }
                #expect(try server.answer(head, plan, ask).status == 401)
                #expect(try server.store.names().isEmpty)
            }
        }
    }

    /// A wrong token counts once, however often the request is looked at.
    @Test func oneWrongTokenIsOneFailure() throws {
        try InProcess.withServer(InProcess.Settings(tokens: Tokens.watch, wrongTokens: 3)) { server in
            let wrong = "hpr_" + String(repeating: "A", count: 43)
            let ask = InProcess.Ask(method: "GET", path: "/v1/jobs", token: wrong)
            let statuses = try (0..<4).map { _ in try server.send(ask).status }
            #expect(statuses == [401, 401, 401, 429])
        }
    }
}
