internal import Compute
import Engine

/// The network over planes as the caller has them, channel after channel: easy to follow, not fast.
struct PlanarNetwork: Sendable {
    private let architecture: Architecture
    private let convolutions: [Convolution]
    private let algorithm: Algorithm
    private let team: ThreadTeam

    init(
        _ tensors: [String: Tensor], architecture: Architecture, algorithm: Algorithm, team: ThreadTeam
    ) throws(ModelError) {
        self.architecture = architecture
        self.algorithm = algorithm
        self.team = team
        var convolutions: [Convolution] = []
        for block in architecture.encoder + architecture.decoder {
            for index in 0..<block.convolutions { convolutions.append(try Convolution(index, of: block, tensors)) }
        }
        self.convolutions = convolutions + [Convolution(headOf: architecture, tensors)]
        BLAS.useOneThread()
    }

    var weightFloats: Int { convolutions.reduce(0) { $0 + $1.weights.count } }

    /// Floats that `run` needs for its activations and its patches.
    func workspaceFloats(height: Int, width: Int) -> Int {
        var layout = PlanarLayout(architecture: architecture, height: height, width: width)
        let patches = layout.reserve(Patches.floats * team.threads)
        return patches + Patches.floats * team.threads
    }

    func run(
        planes: [UnsafePointer<Float>], batch: Int, height: Int, width: Int,
        logits: UnsafeMutablePointer<Float>, workspace: UnsafeMutablePointer<Float>
    ) {
        var layout = PlanarLayout(architecture: architecture, height: height, width: width)
        let patches = workspace + layout.reserve(Patches.floats * team.threads)
        let count = architecture.classes * height * width
        for input in 0..<batch {
            let slices = planes[input * architecture.slices..<(input + 1) * architecture.slices]
            run(
                slices: Array(slices), layout: layout, logits: logits + input * count, workspace: workspace,
                patches: patches)
        }
    }

    private func run(
        slices: [UnsafePointer<Float>], layout: PlanarLayout, logits: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>, patches: UnsafeMutablePointer<Float>
    ) {
        var next = 0
        func convolve(
            _ input: [UnsafePointer<Float>], to output: UnsafeMutablePointer<Float>, level: Int,
            adding shortcut: [UnsafePointer<Float>] = []
        ) {
            let task = PlanarTask(
                convolution: convolutions[next], input: input, output: output, shortcut: shortcut,
                height: layout.height >> level, width: layout.width >> level)
            next += 1
            switch algorithm {
            case .reference: task.runPlainLoops(team)
            case .gemm, .winograd: task.runThroughPatches(team, patches: patches)
            }
        }
        /// Runs a block; its result lies in `output`, or in one of the level's two buffers where that is nil.
        func run(
            _ block: Architecture.Block, _ input: [UnsafePointer<Float>], to output: Int? = nil
        ) -> [UnsafePointer<Float>] {
            var source = input
            for index in 0..<block.convolutions {
                let isLast = index == block.convolutions - 1
                let buffer = layout.buffers[block.level][index % 2]
                let target = workspace + (isLast ? output ?? buffer : buffer)
                convolve(
                    source, to: target, level: block.level,
                    adding: isLast && block.hasShortcut ? Array(input.prefix(block.outputs)) : [])
                source = layout.planes(of: target, channels: block.outputs, level: block.level)
            }
            return source
        }

        var skips: [[UnsafePointer<Float>]] = []
        var x = slices
        for block in architecture.encoder {
            x = run(block, x, to: block.level < 4 ? layout.skips[block.level] : nil)
            guard block.level < 4 else { break }
            skips.append(x)
            x = pooled(x, to: workspace + layout.pooled[block.level], level: block.level, layout)
        }
        for block in architecture.decoder {
            let raised = replicated(x, to: workspace + layout.raised[block.level], level: block.level, layout)
            x = run(block, skips[block.level] + raised)
        }
        convolve(x, to: logits, level: 0)
    }

    /// 2x2 max-pooling of planes at `level`.
    private func pooled(
        _ planes: [UnsafePointer<Float>], to output: UnsafeMutablePointer<Float>, level: Int, _ layout: PlanarLayout
    ) -> [UnsafePointer<Float>] {
        let (height, width) = (layout.height >> (level + 1), layout.width >> (level + 1))
        nonisolated(unsafe) let (planes, output) = (planes, output)
        team.forEach(planes.count) { channel in
            for y in 0..<height {
                let upper = planes[channel] + 4 * y * width
                let lower = upper + 2 * width
                let row = output + (channel * height + y) * width
                for x in 0..<width {
                    row[x] = max(max(upper[2 * x], upper[2 * x + 1]), max(lower[2 * x], lower[2 * x + 1]))
                }
            }
        }
        return layout.planes(of: output, channels: planes.count, level: level + 1)
    }

    /// Planes of the level below `level`, each value replicated to 2x2.
    private func replicated(
        _ planes: [UnsafePointer<Float>], to output: UnsafeMutablePointer<Float>, level: Int, _ layout: PlanarLayout
    ) -> [UnsafePointer<Float>] {
        let (height, width) = (layout.height >> level, layout.width >> level)
        nonisolated(unsafe) let (planes, output) = (planes, output)
        team.forEach(planes.count) { channel in
            for y in 0..<height {
                let source = planes[channel] + (y / 2) * (width / 2)
                let row = output + (channel * height + y) * width
                for x in 0..<width { row[x] = source[x / 2] }
            }
        }
        return layout.planes(of: output, channels: planes.count, level: level)
    }
}

/// Where the planes of one input lie in the workspace, as offsets in floats.
private struct PlanarLayout {
    let height, width: Int
    /// Two buffers a level, for the results inside a block.
    private(set) var buffers: [[Int]] = []
    /// Results of the encoder blocks of levels 0 ... 3, which the decoder reads again.
    private(set) var skips: [Int] = []
    /// The same, pooled: planes of the level below.
    private(set) var pooled: [Int] = []
    /// The level below, replicated: planes of levels 0 ... 3.
    private(set) var raised: [Int] = []
    private var end = 0

    init(architecture: Architecture, height: Int, width: Int) {
        self.height = height
        self.width = width
        for level in 0..<Architecture.levels {
            let plane = (height >> level) * (width >> level)
            let size = architecture.channels(at: level) * plane
            buffers.append([reserve(size), reserve(size)])
            guard level < Architecture.levels - 1 else { break }
            skips.append(reserve(size))
            pooled.append(reserve(size / 4))
            raised.append(reserve(architecture.channels(at: level + 1) * plane))
        }
    }

    /// The offset of `count` more floats, at the start of a cache line.
    mutating func reserve(_ count: Int) -> Int {
        let offset = end
        end += (count + 15) / 16 * 16
        return offset
    }

    func planes(of base: UnsafePointer<Float>, channels: Int, level: Int) -> [UnsafePointer<Float>] {
        (0..<channels).map { base + $0 * (height >> level) * (width >> level) }
    }
}
