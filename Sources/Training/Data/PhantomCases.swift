internal import Compute
internal import Glibc
internal import Imaging
internal import Phantom

/// The first seed of the phantoms that are trained on; demonstrations, tests and scores use lower ones.
let firstPhantomSeed: UInt64 = 1_000_000

/// Makes the phantoms that are mixed in, prepared as real cases are.
func phantomCases(_ options: DataOptions, team: ThreadTeam) -> [TrainingCase] {
    (0..<options.phantoms).map { index in
        let recipe = PhantomRecipe(seed: firstPhantomSeed + UInt64(index))
        let phantom = makePhantom(recipe.options, team: team)
        do throws(VolumeError) {
            return try TrainingCase(
                name: "phantom\(recipe.options.seed)", kind: .phantom, ct: recipe.hounsfield(phantom.ct, team: team),
                mask: phantom.reference, options: options, team: team)
        } catch {
            preconditionFailure("a phantom is far below every limit: \(error)")
        }
    }
}

/// How one phantom to train on looks: its seed decides.
struct PhantomRecipe {
    /// Shape and spacing as scanners make them: pixels of 0.7 to 2 mm, slices of 1 to 5 mm, a field of view that shows
    /// the whole body where that takes at most 288 pixels, 90 to 330 mm of height where that takes at most 64 slices.
    let options: PhantomOptions
    /// Standard deviation in HU of the noise that is added to the phantom's own.
    let noise: Double

    init(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        /// Evenly over ratios.
        func ratio(_ low: Double, _ high: Double) -> Double { low * pow(high / low, random.unit()) }
        let pixel = ratio(0.7, 2)
        let thickness = ratio(1, 5)
        let across = Int((random.uniform(330...420) / pixel / 16).rounded()) * 16
        let high = Int((random.uniform(90...330) / thickness).rounded())
        let side = min(max(across, 160), 288)
        let lesions: Int? =
            switch random.unit() {
            case ..<0.2: 0
            case ..<0.8: nil
            default: 7 + Int(random.unit() * 8)
            }
        noise = max(0, random.uniform(-15...20))
        options = PhantomOptions(
            seed: seed, shape: Shape(side, side, min(max(high, 24), 64)), spacing: SIMD3(pixel, pixel, thickness),
            lesions: lesions)
    }

    /// The phantom's HU with the added noise.
    func hounsfield(_ ct: Volume<Int16>, team: ThreadTeam) -> Volume<Float> {
        let plane = ct.shape.x * ct.shape.y
        let voxels = [Float](unsafeUninitializedCapacity: ct.shape.count) { output, count in
            nonisolated(unsafe) let output = output
            ct.voxels.withUnsafeBufferPointer { input in
                team.forEach(ct.shape.z) { z in
                    var random = SplitMix64(seed: options.seed &* 0xD6E8_FEB8_6659_FD93 &+ UInt64(z))
                    for index in z * plane..<(z + 1) * plane {
                        output[index] = Float(input[index]) + Float(noise) * random.quickNormal()
                    }
                }
            }
            count = ct.shape.count
        }
        return Volume(shape: ct.shape, spacing: ct.spacing, voxels: voxels)
    }
}

extension SplitMix64 {
    /// Mean 0, variance 1: the sum of four uniform numbers, whose tails image noise does not need longer.
    @inline(__always) mutating func quickNormal() -> Float {
        let bits = next()
        let a = Int32(truncatingIfNeeded: bits & 0xFFFF) + Int32(truncatingIfNeeded: bits >> 16 & 0xFFFF)
        let b = Int32(truncatingIfNeeded: bits >> 32 & 0xFFFF) + Int32(truncatingIfNeeded: bits >> 48)
        return Float(a + b - 131_070) * Float(1 / 37_837.0)  // 65536 · √(4/12)
    }
}
