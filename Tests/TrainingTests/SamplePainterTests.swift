import Compute
import Foundation
import Imaging
import Inference
import Testing

@testable import Training

@Suite struct SamplePainterTests {
    static let window = -200.0...200.0

    private func sample(
        _ place: Placement, stack: [Int] = [1, 2, 3], shift: Float = 0, gain: Float = 0, noise: Float = 0,
        isGrained: Bool = false, blur: Float = 0, floor: Float = -200, lesions: [PaintedLesion] = []
    ) -> Sample {
        Sample(
            item: 0, stack: stack.map { SliceBlend($0, count: 100) }, place: place, shift: shift, gain: gain,
            noise: noise, isGrained: isGrained,
            noiseSeed: 9, blur: blur, floor: floor, curve: nil, lesions: lesions)
    }

    private func paint(_ sample: Sample, _ item: TrainingCase, channel: Int = 0, crop: Int = 64) -> [Float] {
        var plane = [Float](repeating: .nan, count: crop * crop)
        plane.withUnsafeMutableBufferPointer {
            SamplePainter(window: Self.window, crop: crop).paint(channel, of: sample, from: item, into: $0.baseAddress!)
        }
        return plane
    }

    private func paintLabels(_ sample: Sample, _ item: TrainingCase, crop: Int = 64) -> [UInt8] {
        var plane = [UInt8](repeating: 99, count: crop * crop)
        plane.withUnsafeMutableBufferPointer {
            SamplePainter(window: Self.window, crop: crop).paintLabels(of: sample, from: item, into: $0.baseAddress!)
        }
        return plane
    }

    /// HU as the network sees them.
    private func mapped(_ hu: Double) -> Double { min(max(hu, -200), 200) / 200 }

    // MARK: Where pixels come from

    /// Without zoom and turn a crop is the slice itself, bit for bit, -1 and 0 around it; mirrored it runs backwards.
    @Test(arguments: [false, true], [SIMD2(30.0, 20.0), SIMD2(0, 47), SIMD2(61, 3), SIMD2(-40, 20)])
    func cropIsTheSlice(isFlipped: Bool, centre: SIMD2<Double>) throws {
        let item = try smoothCase()
        let sample = sample(Placement(centre: centre, crop: 64, zoom: 1, angle: 0, isFlipped: isFlipped))
        let (image, labels) = (paint(sample, item), paintLabels(sample, item))
        var wrong = 0
        for row in 0..<64 {
            for column in 0..<64 {
                let x = Int(centre.x) - 32 + (isFlipped ? 63 - column : column)
                let y = Int(centre.y) - 32 + row
                let isInside = (0..<61).contains(x) && (0..<47).contains(y)
                let value = isInside ? Float(item.ct[x, y, 1]) / 200 : -1
                // Channel 0 is slice 1; labels are those of slice 2.
                let label = isInside ? item.labels[x, y, 2] : 0
                if image[row * 64 + column] != value || labels[row * 64 + column] != label { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    /// A quarter turn and a zoom of two, by hand: pixel (column, row) of a crop around `c` reads `c + R p / 2 - 0.5`.
    @Test func placementByHand() {
        let place = Placement(centre: SIMD2(10, 20), crop: 4, zoom: 2, angle: .pi / 2, isFlipped: false)
        // p of the first pixel is (-1.5, -1.5); turned (1.5, -1.5); halved (0.75, -0.75).
        let near = { (a: SIMD2<Float>, b: SIMD2<Float>) in abs(a.x - b.x) + abs(a.y - b.y) < 1e-5 }
        #expect(near(place.origin, SIMD2(10.25, 18.75)))
        #expect(near(place.across, SIMD2(0, 0.5)))
        #expect(near(place.down, SIMD2(-0.5, 0)))
        let mirrored = Placement(centre: SIMD2(10, 20), crop: 4, zoom: 1, angle: 0, isFlipped: true)
        #expect(near(mirrored.origin, SIMD2(11, 18)) && near(mirrored.across, SIMD2(-1, 0)))
    }

    /// Every pixel against the plain twin in double precision, at places all over and beyond the slice.
    @Test func matchesThePlainTwin() throws {
        let item = try smoothCase()
        var random = SplitMix64(seed: 4)
        var (outside, differing) = (0, 0)
        for _ in 0..<40 {
            let place = Placement(
                centre: SIMD2(random.uniform(-20...80), random.uniform(-20...60)), crop: 64,
                zoom: random.uniform(0.4...2.5), angle: random.uniform(-4...4), isFlipped: random.unit() < 0.5)
            let sample = sample(place)
            let (image, labels) = (paint(sample, item), paintLabels(sample, item))
            for row in 0..<64 {
                for column in 0..<64 {
                    let expected = plainTwin(place, row, column, item)
                    let index = row * 64 + column
                    guard let expected else {
                        outside += 1
                        #expect(image[index] == -1 && labels[index] == 0)
                        continue
                    }
                    // Rounding may decide otherwise where a place lies on an edge; that must be rare.
                    if abs(Double(image[index]) - expected.value) > 1e-4 || labels[index] != expected.label {
                        differing += 1
                    }
                }
            }
        }
        #expect(outside > 10_000 && outside < 120_000)
        #expect(differing < 20, "\(differing) pixels differ")
    }

    /// One pixel by the definition; nil outside the slice.
    private func plainTwin(
        _ place: Placement, _ row: Int, _ column: Int, _ item: TrainingCase
    ) -> (value: Double, label: UInt8)? {
        let at = place.origin + place.down * Float(row) + place.across * Float(column)
        let (x, y) = (Double(at.x), Double(at.y))
        let (nearX, nearY) = (Int((x + 0.5).rounded(.down)), Int((y + 0.5).rounded(.down)))
        guard (0..<61).contains(nearX), (0..<47).contains(nearY) else { return nil }
        var value = 0.0
        let (left, top) = (Int(x.rounded(.down)), Int(y.rounded(.down)))
        for j in top...top + 1 {
            for i in left...left + 1 {
                let weight = (1 - abs(x - Double(i))) * (1 - abs(y - Double(j)))
                value += weight * Double(item.ct[min(max(i, 0), 60), min(max(j, 0), 46), 1])
            }
        }
        return (mapped(value), item.labels[nearX, nearY, 2])
    }

    /// Labels stay with their pixels whatever is done to both: the image is made of label values.
    @Test func labelsStayWithTheirPixels() throws {
        let shape = Shape(200, 170, 5)
        let mask = volume(shape) { x, y, _ in
            UInt8(x < 60 ? 0 : y < 50 + x / 4 ? 1 : x < 140 ? 2 : 0)
        }
        let ct = Volume(shape: shape, spacing: mask.spacing, voxels: mask.voxels.map { Float($0) * 100 - 100 })
        let options = DataOptions(stage: .lesion)
        let item = try TrainingCase(name: "a", kind: .scan, ct: ct, mask: mask, options: options, team: team)
        let sampling = SamplingOptions(crop: 128, batch: 16, scale: 0.6...1.6, rotation: 60, zReverse: true)
        let batch = BatchSource(TrainingData([item], options: options), options: sampling, seed: 5).batch(0, team: team)
        var (pure, wrong, seen) = (0, 0, Set<UInt8>())
        for number in 0..<16 {
            for channel in 0..<5 {
                for pixel in 0..<128 * 128 {
                    let value = batch.images[(number * 5 + channel) * 128 * 128 + pixel]
                    let label = batch.labels[number * 128 * 128 + pixel]
                    // -1 is outside, between the others lie interpolated borders.
                    let wanted: UInt8? = value == -1 || value == -0.5 ? 0 : value == 0 ? 1 : value == 0.5 ? 2 : nil
                    guard let wanted else { continue }
                    pure += 1
                    seen.insert(label)
                    // A border's interpolated values may happen to be another label's: between 0 and 2 lies 1.
                    if label != wanted { wrong += 1 }
                }
            }
        }
        #expect(seen == [0, 1, 2])
        #expect(pure > 16 * 5 * 128 * 128 * 9 / 10)
        #expect(wrong * 100_000 < pure, "\(wrong) of \(pure)")
    }

    // MARK: How values are altered

    /// A case of one slice value, so that every change can be told.
    private func flat(_ hu: Float, ends: (Float, Float) = (-1_000, 1_000)) throws -> TrainingCase {
        let shape = Shape(80, 80, 5)
        // The corner voxels make up the range; the crops used here do not reach them.
        let ct: Volume<Float> = volume(shape) { x, y, _ in x + y == 0 ? ends.0 : x + y == 158 ? ends.1 : hu }
        return try TrainingCase(
            name: "flat", kind: .scan, ct: ct, mask: volume(shape) { _, _, _ in 1 },
            options: DataOptions(window: Self.window), team: team)
    }

    private let middle = Placement(centre: SIMD2(40, 40), crop: 64, zoom: 1, angle: 0, isFlipped: false)

    @Test func shiftAndGain() throws {
        let image = paint(sample(middle, shift: 15, gain: 0.1), try flat(60))
        #expect(image.allSatisfy { abs($0 - (60 + 15 + 6) / 200) < 1e-6 })
    }

    /// What a file has clipped stays where it is, and changes fade in over the next 12 HU.
    @Test(arguments: [(-40.0, -40.0), (160, 160), (-34, -24), (154, 164), (60, 80)])
    func clippedValuesStay(hu: Double, expected: Double) throws {
        let image = paint(sample(middle, shift: 20), try flat(Float(hu), ends: (-40, 160)))
        #expect(image.allSatisfy { abs(Double($0) - mapped(expected)) < 1e-6 })
        let noisy = paint(sample(middle, noise: 10), try flat(Float(hu), ends: (-40, 160)))
        #expect((Set(noisy).count == 1) == (hu == -40 || hu == 160))
    }

    /// White or grained, noise has the deviation asked for, is different in every slice, and grain is smooth.
    @Test(arguments: [false, true]) func noiseHasItsDeviation(isGrained: Bool) throws {
        let item = try flat(0)
        let sample = sample(middle, noise: 12, isGrained: isGrained)
        let planes = (0..<2).map { paint(sample, item, channel: $0).map { Double($0) * 200 } }
        #expect(planes[0] != planes[1])
        for plane in planes {
            let mean = plane.reduce(0, +) / 4_096
            let squares = plane.map { ($0 - mean) * ($0 - mean) }
            let variance = squares.reduce(0, +) / 4_096
            #expect(abs(mean) < 1.5 && abs(variance.squareRoot() - 12) < 1.2, "\(mean), \(variance.squareRoot())")
            let products = (0..<64 * 63).map { plane[$0] * plane[$0 + 64] }
            let neighbours = products.reduce(0, +) / (64 * 63) / variance
            // The mean of two rows shares half of its variance with the next one's.
            #expect(abs(neighbours - (isGrained ? 0.5 : 0)) < 0.1, "\(neighbours)")
        }
    }

    /// One bright pixel spreads by the weights; what is even stays even, at the edges too.
    @Test func smoothingByHand() throws {
        let shape = Shape(80, 80, 5)
        var bright = Volume<Float>(shape: shape, spacing: SIMD3(1, 1, 1), filledWith: 0)
        for z in 0..<5 { bright[40, 40, z] = 100 }
        let item = try TrainingCase(
            name: "a", kind: .scan, ct: bright,
            mask: volume(shape) { _, _, _ in 1 }, options: DataOptions(window: Self.window), team: team)
        let image = paint(sample(middle, blur: 0.2), item)
        // The pixel is column and row 32 of the crop.
        let shares: [(dx: Int, dy: Int, share: Double)] = [
            (0, 0, 0.36), (1, 0, 0.12), (-1, 0, 0.12), (0, 1, 0.12), (1, -1, 0.04), (2, 0, 0),
        ]
        for (dx, dy, share) in shares {
            let found = Double(image[(32 + dy) * 64 + 32 + dx])
            #expect(abs(found - share / 2) < 1e-6, "at \(dx), \(dy)")
        }
        let even = paint(sample(middle, blur: 0.25), try flat(60))
        #expect(even.allSatisfy { abs($0 - 0.3) < 1e-6 })
    }

    /// Values below the floor are raised to it; what lies outside the scan stays -1.
    @Test func floorRaisesLowValues() throws {
        let item = try smoothCase(kind: .scan)
        let place = Placement(centre: SIMD2(20, 20), crop: 64, zoom: 1, angle: 0, isFlipped: false)
        let (plain, raised) = (paint(sample(place), item), paint(sample(place, floor: 30), item))
        #expect(plain.contains { $0 > -1 && $0 < 0.15 })
        for (before, after) in zip(plain, raised) { #expect(after == (before == -1 ? -1 : max(before, 0.15))) }
    }
}
