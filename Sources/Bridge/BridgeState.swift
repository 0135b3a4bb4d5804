import Foundation

/// What the bridge must know after a restart: how far it has come. What became of each series is kept in Orthanc itself.
struct BridgeState: Codable, Equatable {
    /// A series that came and whose study has not been told of as stable yet.
    struct NewSeries: Codable, Equatable {
        /// Orthanc's name.
        let id: String
        /// The change by which it was told of.
        let change: Int
    }

    /// The last change of which all is done.
    var change: Int
    /// Orthanc never tells of a study that was about to become stable when it was stopped: these are asked for.
    var waiting: [NewSeries] = []

    /// Nil where there is no file yet.
    ///
    /// - Throws: ``BridgeSetupError/badState(file:)``
    init?(file: URL) throws(BridgeSetupError) {
        guard FileManager.default.fileExists(atPath: file.path) else { return nil }
        guard let data = try? Data(contentsOf: file), let state = try? JSONDecoder().decode(Self.self, from: data)
        else { throw .badState(file: file.path) }
        self = state
    }

    init(change: Int) { self.change = change }

    /// Replaces the file, whole or not at all.
    ///
    /// - Throws: ``BridgeSetupError/cannotWrite(file:)``
    func write(to file: URL) throws(BridgeSetupError) {
        do {
            try JSONEncoder().encode(self).write(to: file, options: .atomic)
        } catch {
            throw .cannotWrite(file: file.path)
        }
    }
}

/// Why a bridge does not start, or cannot go on.
public enum BridgeSetupError: Error, Equatable, Sendable, CustomStringConvertible {
    /// An address is none.
    case badAddress(String)
    /// The state file is not one.
    case badState(file: String)
    /// The state file or the folder beside it cannot be written.
    case cannotWrite(file: String)
    /// Another bridge has the state file.
    case inUse(file: String)

    /// What is wrong, then what to change.
    public var description: String {
        switch self {
        case .badAddress(let text):
            "\"\(text)\" is no address. Give it as http://127.0.0.1:8042, without a name and a password."
        case .badState(let file): "\(file) is not the state of a bridge. Name another file, or remove it."
        case .cannotWrite(let file): "\(file) cannot be written. Name a file in a folder that this user may write."
        case .inUse(let file): "Another bridge works with \(file). Give each its own."
        }
    }
}
