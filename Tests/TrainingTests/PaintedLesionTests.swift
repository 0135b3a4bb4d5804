import Compute
import Imaging
import Inference
import Testing

@testable import Training

/// Lesions that are painted into real livers, and the other changes that samples are given.
@Suite struct PaintedLesionTests {
    private static let shape = Shape(96, 96, 21)
    private static let options = DataOptions(stage: .lesion, window: -40...160)

    /// A flat liver of 100 HU, 8 to 88 along x and y, in everything but the first and last two slices; 0 HU around it.
    private func flatCase(_ stage: DataOptions = options) throws -> TrainingCase {
        func isLiver(_ x: Int, _ y: Int, _ z: Int) -> Bool {
            (8..<88).contains(x) && (8..<88).contains(y) && (2..<19).contains(z)
        }
        return try TrainingCase(
            name: "a", kind: .scan,
            ct: volume(Self.shape, spacing: SIMD3(0.8, 0.8, 2.5)) { x, y, z in isLiver(x, y, z) ? 100 : 0 },
            mask: volume(Self.shape, spacing: SIMD3(0.8, 0.8, 2.5)) { isLiver($0, $1, $2) ? Label.liver : 0 },
            options: stage, team: team)
    }

    private func sample(_ lesions: [PaintedLesion], slice: Int = 10) -> Sample {
        Sample(
            item: 0, stack: (slice - 2...slice + 2).map { SliceBlend($0, count: Self.shape.z) },
            place: Placement(centre: SIMD2(48, 48), crop: 96, zoom: 1, angle: 0, isFlipped: false), shift: 0, gain: 0,
            noise: 0, isGrained: false, noiseSeed: 1, blur: 0, floor: -40, curve: nil, lesions: lesions)
    }

    private func planes(_ sample: Sample, _ item: TrainingCase) -> (hu: [Float], labels: [UInt8]) {
        let painter = SamplePainter(window: -40...160, crop: 96)
        var hu = [Float](repeating: 0, count: 96 * 96)
        var labels = [UInt8](repeating: 0, count: 96 * 96)
        hu.withUnsafeMutableBufferPointer { painter.paint(2, of: sample, from: item, into: $0.baseAddress!) }
        labels.withUnsafeMutableBufferPointer { painter.paintLabels(of: sample, from: item, into: $0.baseAddress!) }
        return (hu.map { $0 * 100 + 60 }, labels)
    }

    /// Inside the outline the contrast is there, outside nothing changed, and no lesion leaves the liver.
    @Test(arguments: 1...40) func aLesionIsWhereItsLabelIs(seed: UInt64) throws {
        let item = try flatCase()
        var random = SplitMix64(seed: seed)
        let lesion = try #require(PaintedLesion.draw(in: 10, of: item, random: &random).first)
        let plain = planes(sample([]), item)
        let painted = planes(sample([lesion]), item)
        let inside = painted.labels.indices.filter { painted.labels[$0] == Label.lesion }
        #expect(inside.allSatisfy { plain.labels[$0] == Label.liver })
        #expect(plain.labels.indices.allSatisfy { plain.labels[$0] == 0 ? painted.labels[$0] == 0 : true })
        #expect(plain.labels.indices.allSatisfy { plain.labels[$0] != 0 || plain.hu[$0] == painted.hu[$0] })
        #expect(zip(plain.hu, painted.hu).contains { $0 != $1 } || inside.isEmpty)
        // A lesion that fills some pixels is as dark, or as bright, as it says, up to its edge, mottle, rim and core.
        guard inside.count > 60 else { return }
        let mean = inside.reduce(0) { $0 + painted.hu[$1] - 100 } / Float(inside.count)
        #expect((mean < 0) == (lesion.contrast < 0), "\(mean) HU where \(lesion.contrast) were drawn")
    }

    /// The noise of the scan lies over a lesion as over the liver.
    @Test func noiseStays() throws {
        var random = SplitMix64(seed: 4)
        var noisy = random
        let item = try TrainingCase(
            name: "a", kind: .scan,
            ct: volume(Self.shape) { _, _, _ in 100 + 20 * noisy.quickNormal() },
            mask: volume(Self.shape) { _, _, _ in Label.liver }, options: Self.options, team: team)
        let lesion = PaintedLesion(
            centre: SIMD3(48, 48, 20), largest: 40, random: &random)
        let painted = planes(sample([lesion]), item)
        func deviation(_ values: [Float]) -> Float {
            let mean = values.reduce(0, +) / Float(values.count)
            return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count)).squareRoot()
        }
        let inside = painted.labels.indices.filter { painted.labels[$0] == Label.lesion }.map { painted.hu[$0] }
        try #require(inside.count > 100)
        #expect((14...35).contains(deviation(inside)), "\(deviation(inside)) HU of noise")
    }

    /// In stage liver a lesion changes the picture and not the label; a place that nobody knows stays so.
    @Test func labelsOfOtherKindsStay() throws {
        var random = SplitMix64(seed: 2)
        let item = try flatCase(DataOptions(stage: .liver, window: -40...160))
        let lesions = PaintedLesion.draw(in: 10, of: item, random: &random)
        #expect(planes(sample(lesions), item).labels == planes(sample([]), item).labels)
        #expect(planes(sample(lesions), item).hu != planes(sample([]), item).hu)
        #expect(PaintedLesion.draw(in: 0, of: item, random: &random).isEmpty)
        #expect(!TrainingCase.isLiver(Batch.unknown) && !TrainingCase.isLiver(0))
    }

    /// Curves rise, leave the window's ends where they are, and move the middle.
    @Test func curvesRise() {
        var random = SplitMix64(seed: 5)
        var largest: Float = 0
        for _ in 0..<200 {
            let curve = ContrastCurve(window: -40...160, strength: 30, random: &random)
            let values = stride(from: -60, through: 180, by: 1).map { curve(Float($0)) }
            #expect(zip(values, values.dropFirst()).allSatisfy { $0 < $1 })
            #expect(values.first == -60 && values.last == 180 && curve(-40) == -40 && curve(160) == 160)
            largest = max(largest, abs(curve(60) - 60))
        }
        #expect(largest > 25)
    }

    /// Stacks of another thickness: as far apart as was drawn, within the scan, and their shares are a whole.
    @Test func stacksGetOtherDistances() throws {
        let item = try flatCase()
        var random = SplitMix64(seed: 6)
        var steps: Set<Float> = []
        for _ in 0..<300 {
            let stack = SliceBlend.stack(around: 10, reach: 2, of: item, thickness: 1...10, random: &random)
            #expect(stack[2].position == 10)
            #expect(
                stack.allSatisfy { blend in
                    abs(blend.shares.reduce(0) { $0 + $1.weight } - 1) < 1e-6
                        && blend.shares.allSatisfy { (0..<Self.shape.z).contains($0.slice) }
                })
            steps.insert(stack[3].position - stack[2].position)
        }
        #expect(steps.contains { $0 < 0.6 } && steps.contains(4))
        let edge = SliceBlend.stack(around: 0, reach: 2, of: item, thickness: 10...10, random: &random)
        #expect(edge.prefix(3).allSatisfy { $0.position == 0 })
    }

    /// With everything on, batches are the same for any number of threads.
    @Test func batchesDoNotDependOnThreads() throws {
        let data = TrainingData([try flatCase(), try smoothCase("b")], options: Self.options)
        let options = SamplingOptions(
            crop: 64, batch: 6, flip: false, scale: 0.75...1.3, rotation: 15, shift: 15, noise: 30, blur: true,
            zReverse: true, windowFloor: -40...2, contrast: 25, thickness: 1...10, painted: 0.8, lesionShare: 0.3)
        let source = BatchSource(data, options: options, seed: 3)
        let painted = (0..<4).flatMap { source.samples(of: $0) }.count { !$0.lesions.isEmpty }
        #expect(painted > 4)
        for step in 0..<4 {
            #expect(
                source.batch(step, team: ThreadTeam(threads: 1)) == source.batch(step, team: ThreadTeam(threads: 3)))
        }
    }

    /// Samples are drawn where a model is wrong, and only there where all of them are.
    @Test func hardPlacesAreFoundAndDrawn() throws {
        let item = try flatCase(DataOptions(stage: .liver, window: -40...160))
        let data = TrainingData([item], options: DataOptions(stage: .liver, window: -40...160))
        let metadata = ModelMetadata(
            stage: .liver, window: -40...160, spacing: nil, licence: "CC0", trainedOn: "nothing")
        // A network without weights that says background everywhere: all of the liver is wrong.
        var tensors = Architecture(width: 4, slices: 5, classes: 2).randomTensors(seed: 1)
        tensors["head.weight"] = Tensor(shape: [2, 4, 3, 3], values: [Float](repeating: 0, count: 72))
        tensors["head.bias"] = Tensor(shape: [2], values: [1, 0])
        let model = try ModelFile(Safetensors(metadata: metadata.dictionary, tensors: tensors))
        let hard = try HardPlaces(of: model, in: data, team: team, report: { _ in })
        // Every second slice from 0; the liver's 80 x 80 pixels touch 36 squares in each of slices 2, 4 ... 18. A square at
        // its corner has 8 x 8 of it, one at its edge 8 x 16.
        #expect(Set(hard.places.map(\.slice)) == Set(stride(from: 2, through: 18, by: 2)))
        #expect(hard.places.count == 9 * 36)
        #expect(Set(hard.places.map(\.weight)) == [64 - 24, 128 - 24, 256 - 24])
        let source = BatchSource(
            data, options: SamplingOptions(crop: 32, batch: 8, hardShare: 1), seed: 3, hard: hard)
        for sample in (0..<10).flatMap({ source.samples(of: $0) }) {
            #expect(sample.stack[2].nearest % 2 == 0 && (2...18).contains(sample.stack[2].nearest))
        }
        #expect(throws: TrainingError.self) {
            try HardPlaces(
                of: model, in: TrainingData([item], options: DataOptions(stage: .liver)), team: team, report: { _ in })
        }
    }
}
