import Compute
import Foundation
import Imaging
import Inference
import Testing

@testable import Training

@Suite struct BatchSourceTests {
    private static let options = DataOptions(stage: .lesion)

    private func data(_ cases: [TrainingCase]) -> TrainingData { TrainingData(cases, options: Self.options) }

    private static let everything = SamplingOptions(
        crop: 64, batch: 3, scale: 0.75...1.3, rotation: 15, shift: 20, noise: 15, blur: true, zReverse: true,
        windowFloor: -100...0, balance: 0.5, lesionShare: 0.5)

    /// A batch is a function of the step: neither the threads nor what was drawn before matter.
    @Test func batchesArePure() throws {
        let data = data([try smoothCase("a"), try smoothCase("b", kind: .singleSlices)])
        let source = BatchSource(data, options: Self.everything, seed: 7)
        let forth = (0..<6).map { source.batch($0, team: team) }
        let alone = ThreadTeam(threads: 1)
        let again = BatchSource(data, options: Self.everything, seed: 7)
        for step in (0..<6).reversed() { #expect(again.batch(step, team: alone) == forth[step]) }
        for (step, batch) in forth.enumerated() {
            #expect(!forth[..<step].contains(batch))
            #expect(batch.images.allSatisfy { $0 >= -1 && $0 <= 1 })
        }
        #expect(BatchSource(data, options: Self.everything, seed: 8).batch(0, team: team) != forth[0])
        #expect(forth[0].count == 3 && forth[0].slices == 5 && forth[0].height == 64 && forth[0].width == 64)
    }

    /// The paper's sampling: an epoch shows every slice once, and the next one in another order.
    @Test func epochShowsEverySliceOnce() throws {
        let data = data([try smoothCase("a"), try smoothCase("b", shape: Shape(60, 50, 12)), try smoothCase("c")])
        let source = BatchSource(data, options: SamplingOptions(crop: 32, batch: 1), seed: 3)
        let expected = data.cases.enumerated().flatMap { item, it in it.centres.map { [item, $0] } }
        #expect(source.samplesPerEpoch == expected.count)
        let epochs = (0..<3).map { epoch in
            (0..<expected.count).map { source.samples(of: epoch * expected.count + $0)[0] }.map {
                [$0.item, $0.stack[2].nearest]
            }
        }
        for epoch in epochs { #expect(epoch.sorted { $0.lexicographicallyPrecedes($1) } == expected) }
        #expect(epochs[0] != epochs[1] && epochs[1] != epochs[2] && epochs[0] != expected)
    }

    /// Slices beyond the scan's ends are its last ones, as in use; single slices are stacked with themselves.
    @Test func edgeSlicesAreRepeated() throws {
        let scan = try smoothCase(shape: Shape(61, 47, 4), liver: 0...3)
        for (slice, stack) in [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 2, 3, 3], [1, 2, 3, 3, 3]].enumerated() {
            #expect(stacks(scan, of: slice, SamplingOptions(crop: 32, batch: 1)) == [stack])
            #expect(
                stacks(scan, of: slice, SamplingOptions(crop: 32, batch: 1, zReverse: true))
                    == [stack, stack.reversed()])
        }
        let single = try smoothCase(kind: .singleSlices)
        #expect(stacks(single, of: 3, SamplingOptions(crop: 32, batch: 1)) == [[3, 3, 3, 3, 3]])
    }

    private func stacks(_ item: TrainingCase, of slice: Int, _ options: SamplingOptions) -> Set<[Int]> {
        let source = BatchSource(data([item]), options: options, seed: 2)
        return Set((0..<100).map { source.samples(of: $0)[0].stack.map(\.nearest) }.filter { $0[2] == slice })
    }

    /// The stack's channels are the slices in order, and the label is the middle one's.
    @Test func batchHoldsTheStack() throws {
        let shape = Shape(40, 40, 9)
        let item = try TrainingCase(
            name: "a", kind: .scan, ct: volume(shape) { _, _, z in Float(10 * z) },
            mask: volume(shape) { _, _, z in UInt8(z % 3) }, options: Self.options, team: team)
        let batch = BatchSource(data([item]), options: SamplingOptions(crop: 16, batch: 9), seed: 2).batch(
            0, team: team)
        var middles: Set<Int> = []
        for number in 0..<9 {
            let z = (0..<5).map { Int((batch.images[(number * 5 + $0) * 256 + 100] * 20).rounded()) }
            #expect(z == (-2...2).map { min(max(z[2] + $0, 0), 8) })
            #expect(Int(batch.labels[number * 256 + 100]) == z[2] % 3)
            middles.insert(z[2])
        }
        #expect(middles.count == 9)
    }

    // MARK: Shares

    /// How often each case is drawn in ten epochs.
    private func counts(_ cases: [TrainingCase], _ options: SamplingOptions) -> [Double] {
        var options = options
        options.batch = 1
        options.crop = 32
        let source = BatchSource(data(cases), options: options, seed: 11)
        let samples = (0..<10 * source.samplesPerEpoch).map { source.samples(of: $0)[0] }
        return cases.indices.map { item in Double(samples.count { $0.item == item }) / Double(samples.count) }
    }

    private func isNear(_ a: [Double], _ b: [Double], _ bound: Double = 0.005) -> Bool {
        zip(a, b).allSatisfy { abs($0 - $1) <= bound }
    }

    /// Sizes 9 and 36: all slices alike 1 to 4, all cases alike 1 to 1, half-way 1 to 2.
    @Test(arguments: [(0.0, 0.2), (0.5, 1.0 / 3), (1, 0.5)]) func balance(_ balance: Double, share: Double) throws {
        let cases = [
            try smoothCase("a", shape: Shape(61, 47, 9), liver: 3...5),
            try smoothCase("b", shape: Shape(61, 47, 50), liver: 10...39),
        ]
        #expect(cases.map(\.centres.count) == [9, 36])
        let found = counts(cases, SamplingOptions(balance: balance))
        #expect(isNear(found, [share, 1 - share]), "\(found)")
    }

    @Test func kindsHaveTheirShares() throws {
        let cases = [
            try smoothCase("a"), try smoothCase("b", shape: Shape(61, 47, 21), liver: 3...17),
            try smoothCase("c", kind: .singleSlices, shape: Shape(61, 47, 28)), try smoothCase("d", kind: .phantom),
            try smoothCase("e", kind: .phantom),
        ]
        #expect(cases.map(\.centres.count) == [7, 21, 28, 7, 7])
        let plain = counts(cases, SamplingOptions())
        #expect(isNear(plain, [0.1, 0.3, 0.4, 0.1, 0.1]), "\(plain)")
        let shared = counts(cases, SamplingOptions(phantomShare: 0.5, singleShare: 0.1))
        #expect(isNear(shared, [0.1, 0.3, 0.1, 0.25, 0.25]), "\(shared)")
        let balanced = counts(cases, SamplingOptions(balance: 1, singleShare: 0.2))
        #expect(isNear(balanced, [0.2, 0.2, 0.2, 0.2, 0.2]), "\(balanced)")
        // Without phantoms their share is nobody's; alone, they have it all.
        #expect(isNear(counts(Array(cases[..<2]), SamplingOptions(phantomShare: 0.5)), [0.25, 0.75]))
        #expect(isNear(counts(Array(cases[3...]), SamplingOptions(phantomShare: 0)), [0.5, 0.5]))
    }

    /// The share asked for is centred near a lesion, and every such crop shows it.
    @Test func lesionShare() throws {
        let item = try smoothCase(shape: Shape(200, 160, 30), liver: 14...15)
        var options = SamplingOptions(crop: 32, batch: 1)
        let plain = lesionsSeen(item, options)
        options.lesionShare = 0.5
        let half = lesionsSeen(item, options)
        options.lesionShare = 1
        #expect(lesionsSeen(item, options) == 1)
        // 2 of 8 slices have a lesion, and few of their crops show it.
        #expect(plain < 0.2 && abs(half - (0.5 + plain / 2)) < 0.08, "\(plain), \(half)")
    }

    private func lesionsSeen(_ item: TrainingCase, _ options: SamplingOptions) -> Double {
        let source = BatchSource(data([item]), options: options, seed: 1)
        let seen = (0..<800).count { source.batch($0, team: team).labels.contains(Label.lesion) }
        return Double(seen) / 800
    }

    /// Crops lie within the liver's surroundings, or hold them where they are smaller.
    @Test(arguments: [16, 32, 64, 96, 208]) func cropsShowTheRegion(crop: Int) throws {
        let item = try smoothCase(shape: Shape(200, 160, 9))
        let region = item.regions[4]
        let source = BatchSource(data([item]), options: SamplingOptions(crop: crop, batch: 1, flip: false), seed: 1)
        var lowest: Set<Int> = []
        for step in 0..<200 {
            let origin = source.samples(of: step)[0].place.origin
            for (first, range) in [(Int(origin.x), region.x), (Int(origin.y), region.y)] {
                let (shown, outer) = (first..<first + crop, crop <= range.count)
                #expect(outer ? range.clamped(to: shown) == shown : shown.clamped(to: range) == range)
            }
            lowest.insert(Int(origin.x))
        }
        #expect(lowest.count > min(20, abs(region.x.count - crop) / 2))
    }

    /// Draws stay within what was asked for, and reach its ends.
    @Test func drawsHaveTheirRanges() throws {
        let options = SamplingOptions(
            crop: 32, batch: 1, scale: 0.5...2, rotation: 30, shift: 20, noise: 15, blur: true, windowFloor: -80...0)
        let source = BatchSource(data([try smoothCase()]), options: options, seed: 1)
        let samples = (0..<2_000).map { source.samples(of: $0)[0] }
        func check(_ name: String, _ values: [Float], _ range: ClosedRange<Float>, mean: Float) {
            let width = range.upperBound - range.lowerBound
            let bound = range.lowerBound - 1e-4 * width...range.upperBound + 1e-4 * width
            #expect(values.allSatisfy(bound.contains), "\(name)")
            #expect((values.min() ?? 0) < range.lowerBound + 0.02 * width, "\(name)")
            #expect((values.max() ?? 0) > range.upperBound - 0.02 * width, "\(name)")
            #expect(abs(values.reduce(0, +) / 2_000 - mean) < 0.03 * width, "\(name)")
        }
        let steps = samples.map { ($0.place.down * $0.place.down).sum().squareRoot() }
        check("zoom", steps.map { -log2(Double($0)) }.map { Float($0) }, -1...1, mean: 0)
        check(
            "turn", zip(samples, steps).map { Float(asin(Double(-$0.place.down.x / $1)) * 180 / .pi) }, -30...30,
            mean: 0)
        check("shift", samples.map(\.shift), -20...20, mean: 0)
        check("gain", samples.map(\.gain), -0.05...0.05, mean: 0)
        check("noise", samples.map(\.noise), 0...15, mean: 7.5)
        check("floor", samples.map(\.floor), -80...0, mean: -40)
        check(
            "blur",
            samples.map(\.blur).filter { $0 > 0 } + Array(repeating: 0.125, count: samples.count { $0.blur == 0 }),
            0...0.25, mean: 0.125)
        #expect((900...1_100).contains(samples.count { $0.blur == 0 }))
        #expect((900...1_100).contains(samples.count { $0.place.across.x < 0 }))
        #expect((900...1_100).contains(samples.count { $0.isGrained }))
    }

    /// Merged masks: what they mark is liver or lesion, what they leave out is background.
    @Test func mergedLabelsAreForeground() throws {
        let options = DataOptions(stage: .lesion, mergedLabels: ["b"])
        let cases = [try smoothCase("a", options: options), try smoothCase("b", options: options)]
        let source = BatchSource(
            TrainingData(cases, options: options), options: SamplingOptions(crop: 64, batch: 2), seed: 1)
        for step in 0..<7 {
            let batch = source.batch(step, team: team)
            for (number, sample) in source.samples(of: step).enumerated() {
                let found = Set(batch.labels[number * 4_096..<(number + 1) * 4_096])
                #expect(found.isSubset(of: sample.item == 0 ? [0, 1, 2] : [0, Batch.foreground]))
                #expect(
                    found.contains(Batch.foreground) == (sample.item == 1 && (2...4).contains(sample.stack[2].nearest)))
            }
        }
    }
}
