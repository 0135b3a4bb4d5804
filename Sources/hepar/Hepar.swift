import Access
import ArgumentParser
import Bridge
import CBuild
import Cases
import Compute
import Dicom
import Foundation
import Imaging
import Inference
import Phantom
import Preview
import Service
import Training

/// The command line. Exit code 2 says that the input or the command must change, 1 that Hepar failed.
@main
struct HeparCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hepar",
        abstract: "Finds the liver and its lesions in a CT scan. For research, not for clinical use.",
        version: version,
        subcommands: [
            Serve.self, Segment.self, Evaluate.self, ImportDicom.self, PhantomCommand.self, Model.self,
            PreviewCommand.self, Train.self, CheckConfig.self, Token.self, Audit.self, BackupCommand.self,
            RecoverCommand.self, BridgeCommand.self, Health.self, Bench.self, Work.self,
        ])

    /// Version, commit, and the vector instructions that a network of the default model's width gets on this CPU.
    private static var version: String {
        let commit = String(cString: hepar_commit())
        return "\(Cases.Hepar.version) (commit \(commit), \(InstructionSet.best(width: 16)))"
    }

    static func main() async {
        if Set(CommandLine.arguments.dropFirst()) == ["--version", "--json"] {
            print(String(decoding: (try? JSONEncoder.hepar.encode(Software())) ?? Data(), as: UTF8.self))
            return
        }
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            let code = exitCode(for: error)
            // Help and version come as "errors" of exit code 0; a wrong command line as a validation failure.
            if code.isSuccess { exit(withError: error) }
            if let exit = error as? ExitCode { Foundation.exit(exit.rawValue) }
            let usersFault = code == .validationFailure || isUsersFault(error)
            let message = code == .validationFailure ? fullMessage(for: error) : "hepar: \(sentence(for: error))"
            FileHandle.standardError.write(Data("\(message)\n".utf8))
            Foundation.exit(usersFault ? 2 : 1)
        }
    }

    /// Foundation's errors, whose own text is for programmers, as the file and the system's words.
    static func sentence(for error: any Error) -> String {
        guard let error = error as? CocoaError else { return "\(error)" }
        let reason = (error.underlying as? POSIXError).map { String(cString: strerror($0.code.rawValue)) }
        let place = error.filePath ?? error.url?.path
        return [place, reason ?? error.localizedDescription].compactMap { $0 }.joined(separator: ": ")
    }

    static func isUsersFault(_ error: any Error) -> Bool {
        switch error {
        case let error as VolumeError: error.isUsersFault
        case let error as TrainingError: error.isUsersFault
        case let error as DicomError: error.isUsersFault
        case let error as SegmentationObjectError: error == .noSource
        case is ModelError, is PhantomError, is ConfigError, is TokenFileError, is UserError, is BridgeSetupError,
            is OverwriteError:
            true
        default: false
        }
    }
}
