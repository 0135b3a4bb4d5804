import ArgumentParser
import Compute
import Engine
import Foundation
import Imaging
import Inference

/// `hepar bench kernels`: single operations, beside the limits that this machine sets them.
struct BenchKernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels", abstract: "Time single operations, and the limits of this CPU.",
        discussion: "The scan is a phantom of 512 x 512 x 129 voxels of 0.57 x 0.57 x 1.6 mm.")

    @OptionGroup var options: BenchOptions

    func run() throws {
        let team = ThreadTeam(threads: options.threads.capped())
        measureLimits(team)
        try measureImaging(team)
    }

    /// What the CPU can do, and what the kernel that the network spends its time in makes of it.
    private func measureLimits(_ team: ThreadTeam) {
        for set in InstructionSet.allCases where set.isAvailable {
            let benchmark = options.benchmark(runs: 15, instructions: set)
            let rounds = 2_000_000
            let flops = KernelRate.multiplyAdd(set, rounds: 1000, team: team) / 1000 * Double(rounds)
            benchmark.measure("multiply-add peak \(set.rawValue)", flops: flops) {
                _ = KernelRate.multiplyAdd(set, rounds: rounds, team: team)
            }
            let products = KernelRate.Products(set, threads: team.threads)
            let repeats = 20
            let work = products.run(team: team) * Double(repeats)
            benchmark.measure("winograd products \(set.rawValue)", flops: work) {
                for _ in 0..<repeats { _ = products.run(team: team) }
            }
        }
        measureCopy(team)
    }

    /// Memory to memory; read and written bytes both count.
    private func measureCopy(_ team: ThreadTeam) {
        let bytes = 128 << 20
        let chunk = 1 << 20
        let source = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
        defer {
            source.deallocate()
            target.deallocate()
        }
        memset(source.baseAddress!, 1, bytes)
        nonisolated(unsafe) let (from, to) = (source.baseAddress!, target.baseAddress!)
        options.benchmark(runs: 15, instructions: .best(width: 16)).measure("memory copy", bytes: 2 * Double(bytes)) {
            team.forEachChunk(of: bytes, chunk: chunk) { range in
                memcpy(to + range.lowerBound, from + range.lowerBound, range.count)
            }
        }
    }

    /// What surrounds the network.
    private func measureImaging(_ team: ThreadTeam) throws {
        let benchmark = options.benchmark(runs: 5, instructions: .best(width: 16))
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let phantom = BenchScan.phantom(team: team)
        let shape = phantom.ct.shape
        let size = "\(shape.x)x\(shape.y)x\(shape.z)"
        let affine = Affine(
            x: SIMD3(-phantom.ct.spacing.x, 0, 0), y: SIMD3(0, -phantom.ct.spacing.y, 0),
            z: SIMD3(0, 0, phantom.ct.spacing.z), origin: .zero)
        let header = NIfTIHeader(shape: shape, affine: affine, voxelType: .int16)
        let ct = folder.appending(path: "ct.nii.gz")
        try writeCT(phantom.ct, header: header, to: ct, team: team)

        try benchmark.measure("inflate and read CT \(size)", bytes: Double(2 * shape.count)) {
            _ = try readCT(at: ct, team: team)
        }
        let volume = try readCT(at: ct, team: team).volume
        try benchmark.measure("resample \(size) to 1x1x2.5 mm") {
            _ = try resampleLinear(volume, to: SIMD3(1, 1, 2.5), limit: .max, team: team)
        }
        benchmark.measure("components \(size)") {
            _ = connectedComponents(of: phantom.reference, where: { $0 != Label.background }, team: team)
        }
        try benchmark.measure("write and verify mask \(size)", bytes: Double(shape.count)) {
            try writeLabels(phantom.reference, like: header, to: folder.appending(path: "mask.nii.gz"), team: team)
        }
    }
}
