internal import CKernels
public import Compute
internal import Engine
public import Inference

/// The network in training: batch norm by the batch's own statistics, and gradients of every parameter.
///
/// Convolutions and their gradients go through Winograd's method F(4x4, 3x3) over channel blocks, as those of
/// ``Network``. The same batch and parameters give the same bits, whatever the number of threads.
public final class TrainableNetwork {
    /// Size of the network.
    public let architecture: Architecture
    /// Where each tensor lies in ``parameters``, ``gradients`` and ``averages``.
    public let layout: ParameterLayout
    /// All parameters, one after the other; an optimiser changes them between batches.
    public var parameters: [Float]
    /// Batch norm's running means and variances (momentum 0.1, unbiased variance, as PyTorch's).
    public var averages: [Float]
    /// The last batch's gradients, laid out as ``parameters``.
    public private(set) var gradients: [Float]

    private let team: ThreadTeam
    private let kernels: TrainingKernels
    private let convolutions: [TrainedConvolution]
    /// Parts of the packing of all weights: which convolution, and which of its parts.
    private let packing: [(convolution: Int, part: Int)]
    private var memory: Memory?

    /// What batches of one size need.
    private struct Memory {
        let plan: TrainingPlan
        let workspace: FloatMemory
        let vectors: FloatMemory
    }

    /// Takes a model's tensors.
    ///
    /// - Parameters:
    ///   - tensors: all tensors of a model file; at most four classes.
    ///   - instructions: vector instructions, which this CPU must have; nil takes the best.
    ///   - team: the threads that compute.
    /// - Throws: an error that names the tensor which is missing, extra, of a wrong shape or not finite.
    public init(
        tensors: [String: Tensor], instructions: InstructionSet? = nil, team: ThreadTeam
    ) throws(ModelError) {
        architecture = try Architecture(of: tensors)
        precondition((2...4).contains(architecture.classes), "two to four classes")
        layout = ParameterLayout(architecture)
        self.team = team
        kernels = TrainingKernels(instructions ?? .best(width: architecture.width))
        convolutions = Self.convolutions(architecture, layout, kernels)
        packing = convolutions.indices.flatMap { [convolutions] index in
            (0..<convolutions[index].packingParts).map { (index, $0) }
        }
        parameters = layout.parameters.flatMap { tensors[$0.name]?.values ?? [] }
        averages = layout.averages.flatMap { tensors[$0.name]?.values ?? [] }
        gradients = [Float](repeating: 0, count: layout.parameterCount)
    }

    /// All convolutions, in the order of the network; the head is the last.
    private static func convolutions(
        _ architecture: Architecture, _ layout: ParameterLayout, _ kernels: TrainingKernels
    ) -> [TrainedConvolution] {
        var offsets = layout.parameters.filter { $0.shape.count == 4 }.map(\.range.lowerBound)[...]
        func convolution(inputs: Int, plain: Int, outputs: Int, isFirst: Bool = false) -> TrainedConvolution {
            TrainedConvolution(
                offset: offsets.removeFirst(), inputs: inputs, plain: plain, outputs: outputs,
                needsInputGradient: !isFirst, kernels: kernels)
        }
        var result: [TrainedConvolution] = []
        for block in architecture.encoder {
            for index in 0..<block.convolutions {
                let inputs = block.inputs(of: index)
                result.append(
                    convolution(inputs: inputs, plain: inputs, outputs: block.outputs, isFirst: result.isEmpty))
            }
        }
        for block in architecture.decoder {
            for index in 0..<block.convolutions {
                result.append(
                    convolution(inputs: block.inputs(of: index), plain: block.outputs, outputs: block.outputs))
            }
        }
        result.append(
            convolution(inputs: architecture.width, plain: architecture.width, outputs: architecture.classes))
        return result
    }

    /// The tensors of a model file, as they are now.
    public var tensors: [String: Tensor] {
        var result: [String: Tensor] = [:]
        for entry in layout.parameters {
            result[entry.name] = Tensor(shape: entry.shape, values: Array(parameters[entry.range]))
        }
        for entry in layout.averages {
            result[entry.name] = Tensor(shape: entry.shape, values: Array(averages[entry.range]))
        }
        return result
    }

    /// Computes the loss of `batch` and its gradients by every parameter, which ``gradients`` then holds, and moves the
    /// running averages. The same batch and parameters give the same bits.
    ///
    /// - Parameters:
    ///   - batch: as many slices as the network reads; labels below the number of classes, ``Batch/foreground`` or
    ///     ``Batch/unknown``.
    ///   - loss: one weight a class.
    public func learn(from batch: Batch, loss: Loss) -> BatchResult {
        precondition(batch.slices == architecture.slices, "the network reads \(architecture.slices) slices")
        precondition(loss.classWeights.count == architecture.classes, "one weight a class")
        precondition(
            batch.labels.allSatisfy { $0 < architecture.classes || $0 >= Batch.foreground }, "labels are classes")
        let memory = memory(for: batch)
        let plan = memory.plan
        let parts = UnsafeMutablePointer<LossSums>.allocate(capacity: batch.count * strips(height: batch.height))
        parts.initialize(repeating: LossSums(), count: batch.count * strips(height: batch.height))
        defer { parts.deallocate() }
        let lossPasses = LossPasses(
            loss: loss, batch: batch, logits: plan.logits, bias: plan.headBias, classes: architecture.classes,
            parts: parts)
        parameters.withUnsafeBufferPointer { parameters in
            averages.withUnsafeMutableBufferPointer { averages in
                gradients.withUnsafeMutableBufferPointer { gradients in
                    let context = TrainingContext(
                        kernels: kernels, workspace: memory.workspace.base, scratch: plan.scratch,
                        sharedScratch: plan.sharedScratch, images: batch.count, parameters: parameters.baseAddress!,
                        averages: averages.baseAddress!, gradients: gradients.baseAddress!)
                    let bias = plan.head.forward.winograd.epilogue.base
                    for index in 0..<architecture.classes { bias[index] = parameters[plan.headBias + index] }
                    let tickets = Worker.Tickets()
                    team.run { thread in
                        var worker = Worker(thread: thread, team: team, tickets: tickets)
                        worker.share(packing.count) { item in
                            convolutions[packing[item].convolution].pack(part: packing[item].part, context)
                        }
                        fill(plan.input, with: batch, &worker, context)
                        for unit in plan.units { forward(unit, memory, &worker, context) }
                        forwardHead(plan, &worker, context)
                        lossPasses.run(&worker, context)
                        backwardHead(plan, &worker, context)
                        for unit in plan.units.reversed() { backward(unit, memory, &worker, context) }
                    }
                }
            }
        }
        return lossPasses.result(parts[0])
    }

    /// Memory for batches as large as `batch`: what is there already if it fits.
    private func memory(for batch: Batch) -> Memory {
        if let memory, memory.plan.images == batch.count, memory.plan.height == batch.height,
            memory.plan.width == batch.width
        {
            return memory
        }
        memory = nil
        let plan = TrainingPlan(
            architecture, layout: layout, convolutions: convolutions, images: batch.count, height: batch.height,
            width: batch.width, kernels: kernels, threads: team.threads)
        let made = Memory(
            plan: plan, workspace: FloatMemory(zeroed: plan.floats), vectors: FloatMemory(zeroed: plan.vectorFloats))
        memory = made
        return made
    }

    /// Puts the batch's planes into channel blocks.
    private func fill(
        _ tensor: BlockedTensor, with batch: Batch, _ worker: inout Worker, _ context: TrainingContext
    ) {
        let plane = batch.height * batch.width
        worker.share(batch.count * batch.height) { item in
            let (image, y) = (item / batch.height, item % batch.height)
            batch.images.withUnsafeBufferPointer { images in
                for slice in 0..<batch.slices {
                    let source = images.baseAddress! + (image * batch.slices + slice) * plane + y * batch.width
                    let target =
                        context.workspace
                        + tensor.offset(image: image, block: slice / tensor.lanes, y: y, x: 0) + slice % tensor.lanes
                    for x in 0..<batch.width { target[x * tensor.lanes] = source[x] }
                }
            }
        }
    }

    private func norm(_ unit: TrainingUnit, _ memory: Memory) -> NormPasses {
        NormPasses(
            unit: unit, partials: memory.plan.partials, vectors: memory.vectors.base + unit.vectors,
            lanes: kernels.lanes)
    }

    private func forward(
        _ unit: TrainingUnit, _ memory: Memory, _ worker: inout Worker, _ context: TrainingContext
    ) {
        let norm = norm(unit, memory)
        let operands = WinogradConvolution.Operands(plain: unit.plain, replicated: unit.replicated, output: unit.z)
        for images in memory.plan.groups(of: unit.z) {
            unit.convolution.run(unit.convolution.forward, operands, images: images, &worker, context)
            norm.sumUp(images: images, &worker, context)
        }
        norm.settle(&worker, context)
        norm.apply(&worker, context)
    }

    private func forwardHead(_ plan: TrainingPlan, _ worker: inout Worker, _ context: TrainingContext) {
        let operands = WinogradConvolution.Operands(plain: plan.units[plan.units.count - 1].y, output: plan.logits)
        for images in plan.groups(of: plan.logits) {
            plan.head.run(plan.head.forward, operands, images: images, &worker, context)
        }
    }

    private func backwardHead(_ plan: TrainingPlan, _ worker: inout Worker, _ context: TrainingContext) {
        let last = plan.units[plan.units.count - 1]
        backward(
            plan.head, plain: last.y, replicated: nil, gradient: plan.logits, plainGradient: last.gradient, added: nil,
            raisedGradient: nil, gathered: nil, plan, &worker, context
        ) { _, _ in }
    }

    private func backward(
        _ unit: TrainingUnit, _ memory: Memory, _ worker: inout Worker, _ context: TrainingContext
    ) {
        let norm = norm(unit, memory)
        norm.sumUpGradients(&worker, context)
        norm.settleGradients(&worker, context)
        backward(
            unit.convolution, plain: unit.plain, replicated: unit.replicated, gradient: unit.z,
            plainGradient: unit.plainGradient, added: unit.added, raisedGradient: unit.raisedGradient,
            gathered: unit.gathered, memory.plan, &worker, context
        ) { images, worker in norm.applyGradients(images: images, &worker, context) }
    }

    /// The gradients of a convolution, group by group of the images: `prepare` writes those by its result.
    private func backward(
        _ convolution: TrainedConvolution, plain: BlockedTensor, replicated: BlockedTensor?, gradient: BlockedTensor,
        plainGradient: BlockedTensor?, added: BlockedTensor?, raisedGradient: BlockedTensor?, gathered: BlockedTensor?,
        _ plan: TrainingPlan, _ worker: inout Worker, _ context: TrainingContext,
        prepare: (_ images: Range<Int>, _ worker: inout Worker) -> Void
    ) {
        let weights = WeightGradient(
            convolution, plain: plain, replicated: replicated, gradient: gradient, sums: plan.gradientSums,
            tiles: plan.gradientTiles, lanes: kernels.lanes)
        weights.begin(&worker, context)
        for images in plan.groups(of: gradient) {
            prepare(images, &worker)
            weights.add(images: images, &worker, context)
            if let layer = convolution.backPlain, let plainGradient {
                let operands = WinogradConvolution.Operands(plain: gradient, output: plainGradient, shortcut: added)
                convolution.run(layer, operands, images: images, &worker, context)
            }
            if let layer = convolution.backReplicated, let raisedGradient, let gathered {
                let operands = WinogradConvolution.Operands(plain: gradient, output: raisedGradient)
                convolution.run(layer, operands, images: images, &worker, context)
                gather(raisedGradient, to: gathered, images: images, &worker, context)
            }
        }
        weights.finish(&worker, context)
    }

    /// Adds up the gradients of the four pixels that each pixel was replicated to.
    private func gather(
        _ raised: BlockedTensor, to gathered: BlockedTensor, images: Range<Int>, _ worker: inout Worker,
        _ context: TrainingContext
    ) {
        let (blocks, height) = (gathered.blocks, gathered.height)
        worker.share(images.count * blocks * height) { item in
            let (image, block, y) = (
                images.lowerBound + item / (blocks * height), item / height % blocks, item % height
            )
            let upper = context.workspace + raised.offset(image: image, block: block, y: 2 * y, x: 0)
            context.kernels.operations.gather(
                upper, upper + raised.rowStride,
                context.workspace + gathered.offset(image: image, block: block, y: y, x: 0), gathered.width)
        }
    }
}
