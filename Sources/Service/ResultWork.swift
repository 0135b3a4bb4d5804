import Foundation
import Imaging
import Metrics
import Preview
import Sandbox
import Segmentation

/// Scores one mask against another, in a child.
struct ScoreWork: ConfinedWork {
    static let name = "score"

    let prediction, reference: URL
    /// Whether the prediction was uploaded too, and so must be judged like the reference.
    let judgesPrediction: Bool
    let limits: VolumeLimits
    let cores: Cores

    var confinement: Confinement {
        .reading([prediction, reference], volumes: limits, bytesPerVoxel: 24, threads: cores.threads)
    }

    func couldGive(_ output: CaseScores) -> Bool { output.isPossible(voxels: limits.voxels) }

    func perform(progress: (SliceProgress) -> Void) throws -> CaseScores {
        let team = cores.team()
        let predicted = try naming("prediction", if: judgesPrediction) {
            if judgesPrediction { _ = try inspectMask(at: prediction, limits: limits) }
            return try readLabels(at: prediction, limits: limits, team: team)
        }
        let actual = try naming("reference") {
            _ = try inspectMask(at: reference, on: predicted.header, limits: limits)
            return try readReference(reference, of: predicted.header, limits: limits, team: team)
        }
        return score(prediction: predicted.volume, reference: actual, team: team)
    }
}

/// Draws slices of a scan with its mask's outlines, in a child.
struct DrawWork: ConfinedWork {
    static let name = "draw"

    /// A slice as PNG.
    struct Slice: Codable, Sendable {
        let number, fileNumber: Int
        /// The lesion that is shown alone.
        let lesion: Int?
        let png: Data
    }

    let choice: SliceChoice
    let image, mask: URL
    /// Outlined too.
    let reference: URL?
    let limits: VolumeLimits
    let cores: Cores

    var confinement: Confinement {
        .reading(
            [image, mask] + [reference].compactMap { $0 }, volumes: limits, bytesPerVoxel: 4, threads: cores.threads)
    }

    /// Pictures of at most 640 x 640 pixels, in base64.
    static let answerLimits = (text: 4 << 20, bytes: 64 << 20)

    func couldGive(_ output: [Slice]) -> Bool {
        let most = choice.most
        let alone = output.compactMap(\.lesion)
        // Bodies come first, then the lesions by their numbers.
        return (1...most.slices).contains(output.count - alone.count) && alone == Array(alone.indices.map { $0 + 1 })
            && alone.count <= most.lesions && output.suffix(alone.count).allSatisfy { $0.lesion != nil }
            && output.allSatisfy { slice in
                (0..<limits.voxels).contains(slice.number) && (0..<limits.voxels).contains(slice.fileNumber)
                    && (choice == .number(slice.number) || !choice.isNumber)
                    && slice.png.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
            }
    }

    func perform(progress: (SliceProgress) -> Void) throws -> [Slice] {
        try outlinedSlices(
            choice, of: image, mask: mask, reference: reference, limits: limits, team: cores.team()
        ).map {
            Slice(number: $0.number, fileNumber: $0.fileNumber, lesion: $0.lesion, png: try $0.picture.png())
        }
    }
}

/// Writes the mask of one label alone, in a child.
struct PartWork: ConfinedWork {
    static let name = "part"

    let label: MaskLabel
    let mask, part: URL
    let limits: VolumeLimits
    let cores: Cores

    var confinement: Confinement {
        var result = Confinement.reading([mask], volumes: limits, bytesPerVoxel: 8, threads: cores.threads)
        result.writable = [part.deletingLastPathComponent().path]
        return result
    }

    func couldGive(_ output: Bool) -> Bool { output }

    func perform(progress: (SliceProgress) -> Void) throws -> Bool {
        let team = cores.team()
        var labels = try readLabels(at: mask, limits: limits, team: team)
        for index in labels.volume.voxels.indices {
            labels.volume.voxels[index] = labels.volume.voxels[index] >= label.threshold ? 1 : 0
        }
        try writeLabels(labels.volume, like: labels.header, to: part, team: team)
        return true
    }
}

extension SliceChoice {
    fileprivate var isNumber: Bool { if case .number = self { true } else { false } }

    /// How many pictures there may be, of bodies and of lesions alone.
    fileprivate var most: (slices: Int, lesions: Int) {
        switch self {
        case .key, .number: (1, 0)
        case .report(let slices, let lesions): (slices, lesions)
        }
    }
}

extension Routes {
    /// Has `body`'s child make a file in an empty folder of its own, and only then puts it to the job's other files: what
    /// reads a mask must not be able to write a report. Whole or not at all, as another request may make it too.
    func making(_ file: URL, _ body: (URL) throws -> Void) throws {
        let begun = file.deletingLastPathComponent().appending(path: ".hepar-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: begun, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: begun) }
        let made = begun.appending(path: file.lastPathComponent)
        try body(made)
        var facts = stat()
        guard lstat(made.path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            throw WorkerLost(end: .lied, silenceSeconds: 0)
        }
        guard rename(made.path, file.path) == 0 else { throw Problem.storageFull }
    }
}

extension Confinement {
    /// For work that reads these files and holds at most so many bytes for each voxel of the largest volume accepted.
    static func reading(
        _ files: [URL], volumes: VolumeLimits, bytesPerVoxel: Int, threads: Int
    ) -> Confinement {
        var limits = ChildLimits()
        limits.memoryMiB = (volumes.voxels >> 20) * bytesPerVoxel + 1024 + 160 * threads
        limits.cpuSeconds = 3600
        return Confinement(limits: limits, readable: files.map(\.path), writable: [])
    }
}

/// Runs `body`; what is wrong with a file is told with the name of its field.
func naming<Result>(_ field: String, if isNamed: Bool = true, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as VolumeError {
        throw WorkFailure.volume(error, field: isNamed ? field : nil)
    }
}
