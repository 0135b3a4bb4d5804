import Foundation
import Logging
import TestSupport
import Testing

@testable import Bridge

/// What a bridge wants before it starts.
@Suite struct BridgeSetupTests {
    @Test(arguments: ["127.0.0.1:8042", "ftp://host", "http://", "http://name:secret@host:8042", "http://host/?a=b"])
    func whatIsNoAddressIsRefused(address: String) throws {
        try withTemporaryFolder { folder in
            let state = folder.appending(path: "state.json")
            #expect(throws: BridgeSetupError.badAddress(address)) {
                try Self.bridge(OrthancBridge.Settings(orthanc: address, hepar: "http://host", state: state))
            }
        }
    }

    @Test func aStateHasOneBridge() throws {
        try withTemporaryFolder { folder in
            let state = folder.appending(path: "state.json")
            let settings = OrthancBridge.Settings(orthanc: "http://host", hepar: "http://host/", state: state)
            // What a killed bridge has left of a patient is removed.
            let left = folder.appending(path: "state.json.work")
            try FileManager.default.createDirectory(at: left, withIntermediateDirectories: false)
            let first = try Self.bridge(settings)
            #expect(!FileManager.default.fileExists(atPath: left.path))
            #expect(throws: BridgeSetupError.inUse(file: state.path)) { try Self.bridge(settings) }
            withExtendedLifetime(first) {}
        }
    }

    @Test func aFolderThatIsNotThereIsTold() throws {
        let state = URL(filePath: "/nonexistent/state.json")
        #expect(throws: BridgeSetupError.cannotWrite(file: state.path)) {
            try Self.bridge(OrthancBridge.Settings(orthanc: "http://host", hepar: "http://host", state: state))
        }
    }

    @Test func theStateIsReadAgain() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "state.json")
            #expect(try BridgeState(file: file) == nil)
            var state = BridgeState(change: 42)
            state.waiting = [BridgeState.NewSeries(id: "2883792a-f90fc242", change: 41)]
            try state.write(to: file)
            #expect(try BridgeState(file: file) == state)
            try Data("{".utf8).write(to: file)
            #expect(throws: BridgeSetupError.badState(file: file.path)) { try BridgeState(file: file) }
        }
    }

    @discardableResult
    private static func bridge(_ settings: OrthancBridge.Settings) throws -> OrthancBridge {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try OrthancBridge(settings, logger: logger, isStopped: { true })
    }
}
