import Compute
import Foundation
import Imaging
import Inference
import TestSupport
import Testing

@testable import Training

/// Networks that give every voxel one class, on a scan whose masks are boxes: every score is a count.
@Suite struct ValidationTests {
    private static let team = ThreadTeam(threads: 2)
    private static let shape = Shape(40, 36, 8)
    private static let spacing = SIMD3(4.0, 4.0, 5.0)

    /// Liver in 20 x 18 voxels of slices 2 to 5, lesion in 5 x 4 of slices 3 and 4.
    private static var labels: Volume<UInt8> {
        var labels = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: 0)
        for z in 2..<6 { for y in 8..<26 { for x in 10..<30 { labels[x, y, z] = Label.liver } } }
        for z in 3..<5 { for y in 12..<16 { for x in 15..<20 { labels[x, y, z] = Label.lesion } } }
        return labels
    }

    private func withCase<Result>(_ body: (ValidationCase) throws -> Result) throws -> Result {
        try withTemporaryFolder { folder in
            let (ct, mask) = (folder.appending(path: "a_ct.nii.gz"), folder.appending(path: "a_seg.nii.gz"))
            let affine = Affine(
                x: SIMD3(-Self.spacing.x, 0, 0), y: SIMD3(0, -Self.spacing.y, 0), z: SIMD3(0, 0, Self.spacing.z),
                origin: SIMD3(0, 0, 0))
            let header = NIfTIHeader(shape: Self.shape, affine: affine, voxelType: .int16)
            try writeCT(
                Volume<Int16>(shape: Self.shape, spacing: Self.spacing, filledWith: 40), header: header, to: ct,
                team: Self.team)
            try writeLabels(Self.labels, like: header, to: mask, team: Self.team)
            return try body(ValidationCase(name: "a", ct: ct, mask: mask, storedSpacing: nil))
        }
    }

    /// A network that answers `label` everywhere.
    private func network(_ label: Int, classes: Int) -> [String: Tensor] {
        let architecture = Architecture(width: 1, slices: 5, classes: classes)
        var tensors = architecture.initialTensors(seed: 1)
        tensors["head.weight"] = Tensor(shape: [classes, 1, 3, 3], values: [Float](repeating: 0, count: classes * 9))
        tensors["head.bias"] = Tensor(shape: [classes], values: (0..<classes).map { $0 == label ? 10 : 0 })
        return tensors
    }

    private func metadata(_ stage: ModelMetadata.Stage, spacing: SIMD3<Double>? = nil) -> ModelMetadata {
        ModelMetadata(stage: stage, window: -200...200, spacing: spacing, licence: "", trainedOn: "")
    }

    private func scores(
        _ stage: ModelMetadata.Stage, answer: Int, every: Int = 1, spacing: SIMD3<Double>? = nil
    ) throws -> ValidationScores {
        try withCase { item in
            let validator = try Validator(
                [item], metadata: metadata(stage, spacing: spacing), every: every, team: Self.team)
            let tensors = network(answer, classes: stage == .liver ? 2 : 3)
            return try #require(try validator.scores(of: tensors, goOn: { true }))
        }
    }

    @Test func everythingLiver() throws {
        let found = try scores(.liver, answer: 1)
        #expect(found.lesion == nil)
        let (all, liver) = (40.0 * 36 * 8, 20.0 * 18 * 4)
        #expect(abs(found.liver - 2 * liver / (all + liver)) < 1e-12)
        // Slices 0, 2, 4 and 6: liver in two of them.
        let half = try scores(.liver, answer: 1, every: 2)
        #expect(abs(half.liver - 2 * (liver / 2) / (all / 2 + liver / 2)) < 1e-12)
        // Half the voxels along each axis; boxes with even edges keep their share.
        let coarse = try scores(.liver, answer: 1, spacing: Self.spacing * 2)
        #expect(abs(coarse.liver - found.liver) < 1e-12)
    }

    @Test func everythingLesion() throws {
        // The liver's slices; 32 mm are 8 voxels on each side.
        let found = try scores(.lesion, answer: 2)
        let (box, liver, lesion) = (36.0 * 34 * 4, 20.0 * 18 * 4, 5.0 * 4 * 2)
        #expect(abs(found.liver - 2 * liver / (box + liver)) < 1e-12)
        let dice = try #require(found.lesion)
        #expect(abs(dice - 2 * lesion / (box + lesion)) < 1e-12)
    }

    @Test(arguments: ModelMetadata.Stage.allCases)
    func nothing(stage: ModelMetadata.Stage) throws {
        let found = try scores(stage, answer: 0)
        #expect(found.liver == 0)
        #expect(found.lesion == (stage == .lesion ? 0 : nil))
    }

    @Test func stopsBetweenSlices() throws {
        try withCase { item in
            let validator = try Validator([item], metadata: metadata(.liver), team: Self.team)
            var asked = 0
            let found = try validator.scores(of: network(1, classes: 2)) {
                asked += 1
                return asked < 3
            }
            #expect(found == nil)
            #expect(asked == 3)
        }
    }

    @Test func aMissingFileIsNamed() throws {
        let nowhere = ValidationCase(
            name: "b", ct: URL(filePath: "/nowhere"), mask: URL(filePath: "/nowhere"), storedSpacing: nil)
        let error = #expect(throws: TrainingError.self) {
            try Validator([nowhere], metadata: metadata(.liver), team: Self.team)
        }
        #expect("\(try #require(error))".contains("Validation case b"))
    }
}
