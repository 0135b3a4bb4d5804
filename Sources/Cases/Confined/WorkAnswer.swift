import Dicom
import Foundation
import Imaging
import Sandbox
import Segmentation

/// What a child has said of its work so far, line by line. The first line that it could not have said, had it done what it
/// was told, is the end of it: whoever sent the file may have written the line.
package struct WorkAnswer<Work: ConfinedWork> {
    /// Its output or its failure, once it has said either.
    private(set) var last: WorkLine<Work.Output>?

    private let work: Work
    private var progress: SliceProgress?

    /// Nothing is said yet.
    package init(to work: Work) { self.work = work }

    /// Takes the next line.
    ///
    /// - Returns: how far the work is, if that is what the line tells.
    package mutating func take(_ line: Data) throws(FalseAnswer) -> SliceProgress? {
        // After an answer there is nothing to say.
        guard last == nil else { throw FalseAnswer() }
        let said = try Self.read(line)
        switch said {
        case .progress(let now):
            guard Work.tellsProgress, now.isPossible(after: progress) else { throw FalseAnswer() }
            progress = now
            return now
        case .output(let output):
            guard work.couldGive(output) else { throw FalseAnswer() }
        case .failure(let failure):
            guard failure.isPossible else { throw FalseAnswer() }
        }
        last = said
        return nil
    }

    /// Only errors tell of numbers that are none.
    private static func read(_ line: Data) throws(FalseAnswer) -> WorkLine<Work.Output> {
        var reader = AnswerReader(text: Work.answerLimits.text)
        if let said = try? reader.read(WorkLine<Work.Output>.self, from: line) { return said }
        reader = AnswerReader(allowsNonFinite: true)
        let said = try reader.read(WorkLine<Work.Output>.self, from: line)
        guard case .failure = said else { throw FalseAnswer() }
        return said
    }
}

extension SliceProgress {
    /// Slices of a stage; no scan has as many.
    private static let most = 1 << 20

    /// Each line goes on from the one before: a child cannot keep itself alive by saying the same again.
    fileprivate func isPossible(after earlier: SliceProgress?) -> Bool {
        guard (1...Self.most).contains(total), (0...total).contains(done) else { return false }
        guard let earlier else { return true }
        if stage == earlier.stage { return total == earlier.total && done > earlier.done }
        let order = Stage.allCases
        return order.firstIndex(of: stage)! > order.firstIndex(of: earlier.stage)!
    }
}

extension WorkFailure {
    /// Fields that a file may have been sent as.
    private static let fields: Set = ["image", "prediction", "reference"]

    /// Whether a sentence can be made of it. Its numbers are shown, and not computed with.
    fileprivate var isPossible: Bool {
        switch self {
        case .volume(_, let field): field.map(Self.fields.contains) ?? true
        case .noSuchSlice(let number, let slices):
            (0...Int(Int32.max)).contains(number) && (1...Int(Int32.max)).contains(slices)
        case .dicom(let error, _): error.isPossible
        case .object, .modelChanged, .other: true
        }
    }
}
