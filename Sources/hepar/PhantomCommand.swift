import ArgumentParser
import Compute
import Foundation
import Imaging
import Phantom

/// `hepar phantom`: a synthetic CT with its reference.
struct PhantomCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phantom", abstract: "Make a synthetic CT of an abdomen and its reference mask.",
        discussion: "The same seed, shape, spacing and axes give the same bytes.")

    @Option(help: "Chooses the anatomy.")
    var seed: UInt64

    @Option(help: "Where the CT is written: .nii or .nii.gz.")
    var output: String

    @Option(help: "Where the reference is written.")
    var reference: String

    @Option(help: "Voxels to the patient's left, back and head: x,y,z.")
    var shape = "256,256,96"

    @Option(help: "Millimetres between voxels in the same order: x,y,z.")
    var spacing = "1.4,1.4,2.5"

    @Option(help: "Where the file's axes grow to, of L or R, P or A, S or I, such as LPS or SAR.")
    var axes = "LPS"

    @Option(help: "How many lesions; by default the seed decides.")
    var lesions: Int?

    func run() throws {
        let shape = try numbers(shape, "--shape", in: 8...2048)
        let spacing = try numbers(spacing, "--spacing", in: 0.1...20)
        if let lesions, !(0...50).contains(lesions) { throw UserError("--lesions is \(lesions). Give 0 to 50.") }
        let team = ThreadTeam(threads: ProcessInfo.processInfo.activeProcessorCount)
        var options = PhantomOptions(seed: seed)
        options.shape = Shape(Int(shape[0]), Int(shape[1]), Int(shape[2]))
        options.spacing = SIMD3(spacing[0], spacing[1], spacing[2])
        options.lesions = lesions
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let phantom = makePhantom(options, team: team)
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        try writeCT(phantom.ct, header: header, to: URL(filePath: output), team: team)
        try writeLabels(phantom.reference, like: header, to: URL(filePath: reference), team: team)
    }

    private func numbers(_ text: String, _ option: String, in range: ClosedRange<Double>) throws -> [Double] {
        let numbers = text.split(separator: ",").compactMap { Double($0) }
        guard numbers.count == 3, numbers.allSatisfy(range.contains) else {
            throw UserError(
                "\(option) is \(text). Give three numbers from \(range.lowerBound) to \(range.upperBound), such as 256,256,96."
            )
        }
        return numbers
    }
}
