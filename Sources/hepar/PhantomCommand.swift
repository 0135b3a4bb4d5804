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
        let shape = try numbers(shape, "--shape", as: { Int($0) })
        let spacing = try numbers(spacing, "--spacing", as: { Double($0) })
        try refuseOverwriting([], by: [NamedFile("--output", output), NamedFile("--reference", reference)])
        let team = ThreadTeam(threads: AvailableCores.count)
        var options = PhantomOptions(seed: seed)
        options.shape = Shape(shape[0], shape[1], shape[2])
        options.spacing = SIMD3(spacing[0], spacing[1], spacing[2])
        options.lesions = lesions
        try options.check()
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let phantom = makePhantom(options, team: team)
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        try writeCT(phantom.ct, header: header, to: URL(filePath: output), team: team)
        try writeLabels(phantom.reference, like: header, to: URL(filePath: reference), team: team)
    }

    private func numbers<Number>(
        _ text: String, _ option: String, as number: (Substring) -> Number?
    ) throws -> [Number] {
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map(number)
        guard numbers.count == 3, !numbers.contains(where: { $0 == nil }) else {
            throw UserError("\(option) is \(text). Give three numbers with commas between them, such as 256,256,96.")
        }
        return numbers.compactMap { $0 }
    }
}
