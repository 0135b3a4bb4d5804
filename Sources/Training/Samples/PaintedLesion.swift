internal import Compute
internal import Glibc
internal import Imaging

/// A lesion that does not exist, to be painted into a real liver: its outline is known exactly.
///
/// An ellipsoid, turned and dented by waves, darker or at times brighter than the liver, with a soft edge, a mottled
/// inside, and at times a rim or a darker core. The noise of the scan stays over it. The idea, not the recipe, is that
/// of Hu et al., Label-Free Liver Tumor Segmentation, CVPR 2023 (arXiv:2303.14869).
struct PaintedLesion: Equatable, Sendable {
    /// In mm from the centre of the case's first voxel.
    let centre: SIMD3<Float>
    /// The farthest that anything of it lies from the centre along any axis, in mm.
    let reach: Float
    /// HU above the liver around it.
    let contrast: Float

    /// Three axes of the ellipsoid, each divided by its half length.
    private let axes: [SIMD3<Float>]
    /// The mean half length, in mm.
    private let radius: Float
    /// Millimetres over which the edge fades.
    private let edge: Float
    /// HU added in a shell of `edge` just inside the outline, and in the middle.
    private let rim, core: Float
    private let dents, mottle: [Wave]

    /// Millimetres across, smallest and largest.
    static let diameters = 4.0...60.0

    /// Draws a lesion around `centre`, of a size spread evenly over ratios.
    ///
    /// - Parameters:
    ///   - centre: the middle, in mm.
    ///   - largest: the most mm it may be across.
    init(centre: SIMD3<Float>, largest: Double, random: inout SplitMix64) {
        let ratio = max(1, largest / Self.diameters.lowerBound)
        let diameter = Self.diameters.lowerBound * pow(ratio, random.unit())
        let mean = Float(diameter / 2)
        let halves = SIMD3<Float>((0..<3).map { _ in mean * Float(random.uniform(0.75...1.25)) })
        self.centre = centre
        radius = mean
        let turned = rotation(&random)
        axes = (0..<3).map { turned[$0] / halves[$0] }
        dents = (0..<4).map { _ in
            Wave(
                amplitude: mean * Float(random.uniform(0.02...0.1)), length: diameter * random.uniform(0.4...1.2),
                &random)
        }
        edge = min(Float(0.7 * pow(7, random.unit())), mean)
        reach = halves.max() + 0.4 * mean + edge

        // A faint spot of a few millimetres is nothing that anyone would call a lesion.
        let faintest = diameter < 8 ? 25.0 : 12
        let isBright = random.unit() < 0.12 && diameter < 30
        let strength = faintest + (80 - faintest) * pow(random.unit(), 1.5)
        contrast = Float(isBright ? min(strength, 60) : -strength)
        rim = random.unit() < 0.25 ? Float(random.uniform(-15...30)) : 0
        core = random.unit() < 0.25 && diameter > 12 ? Float(random.uniform(-30 ... -8)) : 0
        let roughness = random.uniform(0...7)
        mottle = (0..<4).map { _ in
            Wave(amplitude: Float(roughness / 2), length: random.uniform(2.5...14), &random)
        }
    }

    /// Millimetres to the outline, below 0 inside; true near the outline, and in sign everywhere.
    @inline(__always) func distance(_ offset: SIMD3<Float>) -> Float {
        let (a, b, c) = ((offset * axes[0]).sum(), (offset * axes[1]).sum(), (offset * axes[2]).sum())
        var distance = ((a * a + b * b + c * c).squareRoot() - 1) * radius
        for wave in dents { distance += wave(offset) }
        return distance
    }

    /// How much of a voxel is lesion, 0 ... 1.
    @inline(__always) func cover(_ distance: Float) -> Float {
        let ramp = min(max(0.5 - distance / edge, 0), 1)
        return ramp * ramp * (3 - 2 * ramp)
    }

    /// HU above the liver around it, of a voxel that is all lesion.
    @inline(__always) func brightness(_ offset: SIMD3<Float>, _ distance: Float) -> Float {
        var value = contrast
        for wave in mottle { value += wave(offset) }
        if rim != 0 {
            let depth = (distance + edge) / edge
            value += rim * max(0, 1 - depth * depth)
        }
        if core != 0 { value += core * min(max(-distance / radius - 0.3, 0) * 3, 1) }
        return value
    }

    /// A plane wave through the lesion.
    private struct Wave: Equatable, Sendable {
        let amplitude: Float
        /// Radians a mm, and at the lesion's centre.
        let rate: SIMD3<Float>
        let phase: Float

        init(amplitude: Float, length: Double, _ random: inout SplitMix64) {
            self.amplitude = amplitude
            let direction = SIMD3<Float>((0..<3).map { _ in Float(random.normal()) })
            let norm = max((direction * direction).sum().squareRoot(), 1e-3)
            rate = direction / norm * Float(2 * .pi / length)
            phase = Float(random.uniform(0...(2 * .pi)))
        }

        @inline(__always) func callAsFunction(_ offset: SIMD3<Float>) -> Float {
            amplitude * sinf((offset * rate).sum() + phase)
        }
    }
}

/// A random turn: three perpendicular directions.
private func rotation(_ random: inout SplitMix64) -> [SIMD3<Float>] {
    func unit(_ v: SIMD3<Float>) -> SIMD3<Float> { v / max((v * v).sum().squareRoot(), 1e-3) }
    func direction() -> SIMD3<Float> { unit(SIMD3((0..<3).map { _ in Float(random.normal()) })) }
    let a = direction()
    var b = direction()
    b = unit(b - a * (a * b).sum())
    let c = SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
    return [a, b, c]
}

extension PaintedLesion {
    /// Draws lesions whose parts show in a slice of a liver: mostly one or two, at most six.
    ///
    /// - Parameters:
    ///   - slice: where they are to show.
    ///   - source: a case of neighbouring slices.
    /// - Returns: none where the slice has no liver.
    static func draw(in slice: Int, of source: TrainingCase, random: inout SplitMix64) -> [PaintedLesion] {
        let shape = source.labels.shape
        let plane = shape.x * shape.y
        let pixels = source.labels.voxels[slice * plane..<(slice + 1) * plane].enumerated()
            .compactMap { TrainingCase.isLiver($0.element) ? Int32($0.offset) : nil }
        guard pixels.count > 50 else { return [] }
        let spacing = SIMD3<Float>(source.ct.spacing)
        // Not wider than the liver in this slice could hold, so that some of it is left.
        let across = 0.8 * (Double(pixels.count) * source.ct.spacing.x * source.ct.spacing.y).squareRoot()
        var count = 1
        while count < 6, random.unit() < 0.4 { count += 1 }
        return (0..<count).map { _ in
            let pixel = Int(pixels[Int(random.unit() * Double(pixels.count))])
            let place = SIMD3(Float(pixel % shape.x), Float(pixel / shape.x), Float(slice)) * spacing
            var lesion = PaintedLesion(
                centre: place, largest: min(diameters.upperBound, across), random: &random)
            // The slice cuts it anywhere but at its very ends.
            let rise = Float(random.uniform(-0.75...0.75)) * lesion.radius
            lesion = lesion.moved(by: SIMD3(0, 0, rise))
            return lesion
        }
    }

    private func moved(by step: SIMD3<Float>) -> PaintedLesion { PaintedLesion(self, centre: centre + step) }

    private init(_ other: PaintedLesion, centre: SIMD3<Float>) {
        self.centre = centre
        (reach, contrast, axes, radius) = (other.reach, other.contrast, other.axes, other.radius)
        (edge, rim, core, dents, mottle) = (other.edge, other.rim, other.core, other.dents, other.mottle)
    }
}
