import Compute
import Dicom
import Foundation
import Imaging
import Inference
import Preview
import Sandbox
import Segmentation

/// Work on files from outside, which the service never does itself: `hepar work` does it in a confined child process.
///
/// A value goes to the child as JSON, its output comes back so. Everything that parses an upload is one of them.
package protocol ConfinedWork: Codable, Sendable {
    associatedtype Output: Codable & Sendable
    /// What the child is told to do.
    static var name: String { get }
    /// What it may use for it.
    var confinement: Confinement { get }

    /// Does it.
    ///
    /// - Parameter progress: called between slices; it has nothing to stop the work by, for the child is ended instead.
    /// - Throws: ``WorkFailure``, `VolumeError`, ``NoSuchSlice``, ``ModelError``.
    func perform(progress: (SliceProgress) -> Void) throws -> Output

    /// Whether this work could have had this output. A child that read a hostile file may say anything: what it says is
    /// believed within these limits, and the service can go on with whatever they let pass.
    func couldGive(_ output: Output) -> Bool
    /// The most bytes of a text in its output, and of all that it says.
    static var answerLimits: (text: Int, bytes: Int) { get }
    /// Whether it tells how far it is.
    static var tellsProgress: Bool { get }
}

extension ConfinedWork {
    package static var answerLimits: (text: Int, bytes: Int) { (4096, 1 << 20) }
    package static var tellsProgress: Bool { false }
}

/// Whether a text is a SHA-256 as Hepar writes it.
package func isDigest(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
}

/// The threads that all children share by turns, which the service lends.
package struct Cores: Codable, Sendable {
    package let threads: Int

    package init(threads: Int) {
        self.threads = threads
    }

    /// The child's threads.
    package func team() -> ThreadTeam { ThreadTeam(threads: threads, turns: Turns.offered) }
}

/// Why work was not done, as a child tells it: cases and numbers, of which the service makes its sentences anew.
package enum WorkFailure: Error, Codable, Equatable {
    /// Something about a file; `field` is the name that it was sent by.
    case volume(VolumeError, field: String?)
    /// There is no such slice.
    case noSuchSlice(number: Int, slices: Int)
    /// DICOM files make no volume; with what became of each, if that was asked for.
    case dicom(DicomError, [SentInstance]?)
    /// A segmentation object was not made.
    case object(SegmentationObjectError)
    /// The model's files are others than when the service started.
    case modelChanged
    /// Anything else: the error's type.
    case other(type: String)

    package init(_ error: any Error) {
        self =
            switch error {
            case let failure as WorkFailure: failure
            case let error as VolumeError: .volume(error, field: nil)
            case let error as NoSuchSlice: .noSuchSlice(number: error.number, slices: error.slices)
            case let error as SegmentationObjectError: .object(error)
            case is ModelError: .modelChanged
            default: .other(type: "\(type(of: error))")
            }
    }
}

/// A line from a child.
package enum WorkLine<Output: Codable & Sendable>: Codable, Sendable {
    case progress(SliceProgress)
    case output(Output)
    case failure(WorkFailure)

    package var data: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
            return try encoder.encode(self)
        }
    }
}
