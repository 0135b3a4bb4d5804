import Engine

/// What is computed from what, and where it lies, for images of one size.
///
/// At each level there is one tensor for the encoder's result and one or two for results inside a block. The decoder's
/// last convolution at a level writes over the encoder's result, which it also adds: nobody reads that any more.
struct BlockedPlan {
    /// One convolution by Winograd's method: layer `layer` of the network.
    struct Step {
        let layer: Int
        let operands: WinogradConvolution.Operands
    }

    let height, width: Int
    /// Images whose deep levels are computed together.
    let images: Int
    /// Output of the first convolution.
    let firstOutput: BlockedTensor
    /// Steps of the upper levels, image by image; of the deep ones, for all images; of the upper levels again.
    private(set) var encoder: [Step] = []
    private(set) var deep: [Step] = []
    private(set) var decoder: [Step] = []
    /// What the head reads.
    let headInput: BlockedTensor
    /// Where each thread's scratch memory begins.
    let scratch: [Int]
    /// Where scratch memory begins that all threads share.
    let sharedScratch: Int
    /// Size of the workspace.
    let floats: Int

    /// Levels from here on are computed for several images at once.
    static let deepLevel = 3

    init(
        _ architecture: Architecture, height: Int, width: Int, images: Int, lanes: Int, threads: Int,
        threadScratch: Int, sharedScratch: Int
    ) {
        self.height = height
        self.width = width
        self.images = images
        var layout = WorkspaceLayout(lanes: lanes)
        var results: [BlockedTensor] = []
        var inner: [[BlockedTensor]] = []
        var pooled: [BlockedTensor] = []
        for block in architecture.encoder {
            let level = block.level
            func tensor(_ channels: Int, _ level: Int, isShared: Bool = false) -> BlockedTensor {
                layout.tensor(
                    channels: channels, height: height >> level, width: width >> level, images: images,
                    isShared: isShared)
            }
            results.append(tensor(block.outputs, level))
            let innerCount = block.convolutions == 3 && level < Architecture.levels - 1 ? 2 : 1
            inner.append(
                (0..<innerCount).map { _ in tensor(block.outputs, level, isShared: level < Self.deepLevel) })
            if level < Architecture.levels - 1 { pooled.append(tensor(block.outputs, level + 1)) }
        }

        firstOutput = inner[0][0]
        headInput = results[0]
        var layer = 0
        for block in architecture.encoder {
            let level = block.level
            // Two tensors in turn, so that the last convolution writes to the encoder's result.
            let pair = [results[level], inner[level][0]]
            for index in 0..<block.convolutions where level > 0 || index > 0 {
                let isLast = index == block.convolutions - 1
                let step = Step(
                    layer: layer,
                    operands: WinogradConvolution.Operands(
                        plain: index == 0 ? pooled[level - 1] : pair[(block.convolutions - index) % 2],
                        output: pair[(block.convolutions - index - 1) % 2],
                        shortcut: isLast && block.hasShortcut ? pooled[level - 1] : nil,
                        pooled: isLast && level < Architecture.levels - 1 ? pooled[level] : nil))
                layer += 1
                if level < Self.deepLevel { encoder.append(step) } else { deep.append(step) }
            }
        }
        for block in architecture.decoder {
            let level = block.level
            for index in 0..<block.convolutions {
                let isLast = index == block.convolutions - 1
                let step = Step(
                    layer: layer,
                    operands: WinogradConvolution.Operands(
                        plain: index == 0 ? results[level] : inner[level][index - 1],
                        replicated: index == 0 ? results[level + 1] : nil,
                        output: isLast ? results[level] : inner[level][index],
                        shortcut: isLast ? results[level] : nil))
                layer += 1
                if level < Self.deepLevel { decoder.append(step) } else { deep.append(step) }
            }
        }
        scratch = (0..<threads).map { _ in layout.reserve(threadScratch) }
        self.sharedScratch = layout.reserve(sharedScratch)
        floats = layout.floats
    }
}
