public import Compute
public import Imaging

/// What a phantom is made from.
public struct PhantomOptions: Sendable {
    /// Decides the anatomy, the lesions and the noise.
    public var seed: UInt64
    /// Voxels along the canonical axes x (to the Left), y (to Posterior) and z (to Superior).
    public var shape: Shape
    /// Distance between voxel centres along the canonical axes, in mm.
    public var spacing: SIMD3<Double>
    /// How many lesions the liver has; nil lets the seed choose 1 to 6.
    public var lesions: Int?

    /// A phantom of `seed`; by default 256 x 256 x 96 voxels of 1.4 x 1.4 x 2.5 mm.
    public init(
        seed: UInt64, shape: Shape = Shape(256, 256, 96), spacing: SIMD3<Double> = SIMD3(1.4, 1.4, 2.5),
        lesions: Int? = nil
    ) {
        self.seed = seed
        self.shape = shape
        self.spacing = spacing
        self.lesions = lesions
    }
}

/// A synthetic CT scan of an abdomen in the portal-venous phase, with its true liver and lesions.
public struct Phantom: Sendable {
    /// Hounsfield units, -1024 to 3071, on canonical axes.
    public let ct: Volume<Int16>
    /// ``Label`` values on the same grid: liver, its vessels included, and lesions.
    public let reference: Volume<UInt8>
}

/// Makes the phantom of a seed.
///
/// The anatomy is given in patient millimetres by the seed alone; shape and spacing choose the window through which it
/// is seen. The window is as high as `shape.z` slices around the liver's middle; across, it shows the whole body, or,
/// where it is too small for that, the part of it nearest to the liver. A voxel is labelled where at least half of it
/// is liver or lesion.
///
/// - Precondition: `options.check()` throws nothing.
/// - Returns: the same bytes for the same options on every machine, whatever the number of threads.
public func makePhantom(_ options: PhantomOptions, team: ThreadTeam) -> Phantom {
    precondition(options.isSound, "check the options first")
    let anatomy = Anatomy(seed: options.seed, lesions: options.lesions)
    let window = Window(options: options, anatomy: anatomy)
    // Thin slices are noisier, as fewer photons make them.
    let deviation = 11 * min(1.8, max(0.7, (2.5 / options.spacing.z).squareRoot()))
    let noise = Noise(
        seed: options.seed ^ 0x6E6F_6973_6521, shape: options.shape, spacing: options.spacing, deviation: deviation)
    let shape = options.shape
    let sliceCount = shape.x * shape.y
    var ct = [Int16]()
    var labels = [UInt8]()
    ct = [Int16](unsafeUninitializedCapacity: shape.count) { ctBuffer, ctCount in
        nonisolated(unsafe) let hu = ctBuffer
        labels = [UInt8](unsafeUninitializedCapacity: shape.count) { labelBuffer, labelCount in
            nonisolated(unsafe) let label = labelBuffer
            team.forEach(shape.z) { z in
                let slices = z * sliceCount..<(z + 1) * sliceCount
                window.paint(
                    slice: z, anatomy: anatomy, noise: noise, hu: UnsafeMutableBufferPointer(rebasing: hu[slices]),
                    labels: UnsafeMutableBufferPointer(rebasing: label[slices]))
            }
            labelCount = shape.count
        }
        ctCount = shape.count
    }
    return Phantom(
        ct: Volume(shape: shape, spacing: options.spacing, voxels: ct),
        reference: Volume(shape: shape, spacing: options.spacing, voxels: labels))
}
