import Foundation
import Sandbox

/// All that a child can be told to do.
private let allWork: [any ConfinedWork.Type] = [
    ProbeWork.self, JudgeWork.self, ImportWork.self, SegmentWork.self, ScoreWork.self, DrawWork.self, PartWork.self,
    ObjectWork.self,
]

/// `hepar work`: does the work called `name` that `input` describes, confined, and writes lines of JSON: how far it is,
/// and at last its output or its failure.
///
/// - Returns: the process's exit status.
public func performConfinedWork(_ name: String, input: Data, write: (Data) -> Void) -> Int32 {
    guard let work = allWork.first(where: { $0.name == name }) else { return 2 }
    return perform(work, input: input, write: write)
}

private func perform<Work: ConfinedWork>(_: Work.Type, input: Data, write: (Data) -> Void) -> Int32 {
    func say(_ line: WorkLine<Work.Output>) throws { write(try line.data + Data("\n".utf8)) }
    do {
        let work = try JSONDecoder().decode(Work.self, from: input)
        guard work.confinement.apply() else { return 1 }
        do {
            try say(.output(try work.perform { try? say(.progress($0)) }))
            return 0
        } catch {
            try say(.failure(WorkFailure(error)))
            return 3
        }
    } catch {
        return 1
    }
}
