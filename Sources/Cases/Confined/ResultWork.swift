import Foundation
import Imaging
import Metrics
import Preview
import Sandbox
import Segmentation

/// Scores one mask against another, in a child.
package struct ScoreWork: ConfinedWork {
    package static let name = "score"

    package let prediction, reference: URL
    /// Whether the prediction was uploaded too, and so must be judged like the reference.
    package let judgesPrediction: Bool
    package let limits: VolumeLimits
    package let cores: Cores

    package init(prediction: URL, reference: URL, judgesPrediction: Bool, limits: VolumeLimits, cores: Cores) {
        self.prediction = prediction
        self.reference = reference
        self.judgesPrediction = judgesPrediction
        self.limits = limits
        self.cores = cores
    }

    package var confinement: Confinement {
        .reading([prediction, reference], volumes: limits, bytesPerVoxel: 24, threads: cores.threads)
    }

    package func couldGive(_ output: CaseScores) -> Bool { output.isPossible(voxels: limits.voxels) }

    package func perform(progress: (SliceProgress) -> Void) throws -> CaseScores {
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
package struct DrawWork: ConfinedWork {
    package static let name = "draw"

    /// A slice as PNG.
    package struct Slice: Codable, Sendable {
        package let number, fileNumber: Int
        /// The lesion that is shown alone.
        package let lesion: Int?
        package let png: Data
    }

    package let choice: SliceChoice
    package let image, mask: URL
    /// Outlined too.
    package let reference: URL?
    package let limits: VolumeLimits
    package let cores: Cores

    package init(
        choice: SliceChoice, image: URL, mask: URL, reference: URL?, limits: VolumeLimits, cores: Cores
    ) {
        self.choice = choice
        self.image = image
        self.mask = mask
        self.reference = reference
        self.limits = limits
        self.cores = cores
    }

    package var confinement: Confinement {
        .reading(
            [image, mask] + [reference].compactMap { $0 }, volumes: limits, bytesPerVoxel: 4, threads: cores.threads)
    }

    /// Pictures of at most 640 x 640 pixels, in base64.
    package static let answerLimits = (text: 4 << 20, bytes: 64 << 20)

    package func couldGive(_ output: [Slice]) -> Bool {
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

    package func perform(progress: (SliceProgress) -> Void) throws -> [Slice] {
        try outlinedSlices(
            choice, of: image, mask: mask, reference: reference, limits: limits, team: cores.team()
        ).map {
            Slice(number: $0.number, fileNumber: $0.fileNumber, lesion: $0.lesion, png: try $0.picture.png())
        }
    }
}

/// Writes the mask of one label alone, in a child.
package struct PartWork: ConfinedWork {
    package static let name = "part"

    package let label: MaskLabel
    package let mask, part: URL
    package let limits: VolumeLimits
    package let cores: Cores

    package init(label: MaskLabel, mask: URL, part: URL, limits: VolumeLimits, cores: Cores) {
        self.label = label
        self.mask = mask
        self.part = part
        self.limits = limits
        self.cores = cores
    }

    package var confinement: Confinement {
        var result = Confinement.reading([mask], volumes: limits, bytesPerVoxel: 8, threads: cores.threads)
        result.writable = [part.deletingLastPathComponent().path]
        return result
    }

    package func couldGive(_ output: Bool) -> Bool { output }

    package func perform(progress: (SliceProgress) -> Void) throws -> Bool {
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

extension Confinement {
    /// For work that reads these files and holds at most so many bytes for each voxel of the largest volume accepted.
    package static func reading(
        _ files: [URL], volumes: VolumeLimits, bytesPerVoxel: Int, threads: Int
    ) -> Confinement {
        var limits = ChildLimits()
        limits.memoryMiB = (volumes.voxels >> 20) * bytesPerVoxel + 1024 + 160 * threads
        limits.cpuSeconds = 3600
        return Confinement(limits: limits, readable: files.map(\.path), writable: [])
    }
}

/// Runs `body`; what is wrong with a file is told with the name of its field.
package func naming<Result>(_ field: String, if isNamed: Bool = true, _ body: () throws -> Result) throws -> Result {
    do {
        return try body()
    } catch let error as VolumeError {
        throw WorkFailure.volume(error, field: isNamed ? field : nil)
    }
}
