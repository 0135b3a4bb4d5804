/// How many voxels a volume has along x, y and z.
public struct Shape: Hashable, Codable, Sendable {
    /// Voxels along each axis; x varies fastest in memory.
    public var x, y, z: Int

    /// A shape of `x` by `y` by `z` voxels.
    public init(_ x: Int, _ y: Int, _ z: Int) {
        self.x = x
        self.y = y
        self.z = z
    }

    /// All voxels: x · y · z.
    public var count: Int { x * y * z }

    /// Where voxel (x, y, z) lies in an array with x fastest.
    @inlinable public func index(_ x: Int, _ y: Int, _ z: Int) -> Int { (z * self.y + y) * self.x + x }

    /// Length along axis 0 (x), 1 (y) or 2 (z).
    public subscript(axis: Int) -> Int { axis == 0 ? x : axis == 1 ? y : z }
}

extension Shape: CustomStringConvertible {
    /// As people write it: `512 x 512 x 129`.
    public var description: String { "\(x) x \(y) x \(z)" }
}

/// Voxels on a regular grid, x fastest.
///
/// In Hepar a volume is on canonical axes unless its name says otherwise: x grows to the patient's Left, y to
/// Posterior, z to Superior.
public struct Volume<Voxel: Sendable>: Sendable {
    /// Voxels along each axis.
    public let shape: Shape
    /// Distance between voxel centres along x, y and z, in millimetres, each above 0.
    public let spacing: SIMD3<Double>
    /// Volume of a voxel over that of a box with edges of ``spacing``: below 1 where the axes are not at right angles.
    public let voxelShare: Double
    /// `shape.count` values, x fastest.
    public var voxels: [Voxel]

    /// A volume of the given voxels; their number must be `shape.count`.
    public init(shape: Shape, spacing: SIMD3<Double>, voxelShare: Double = 1, voxels: [Voxel]) {
        precondition(voxels.count == shape.count, "\(voxels.count) voxels do not fill \(shape)")
        self.shape = shape
        self.spacing = spacing
        self.voxelShare = voxelShare
        self.voxels = voxels
    }

    /// A volume filled with one value.
    public init(shape: Shape, spacing: SIMD3<Double>, filledWith value: Voxel) {
        self.init(shape: shape, spacing: spacing, voxels: Array(repeating: value, count: shape.count))
    }

    /// The voxel at (x, y, z).
    @inlinable public subscript(x: Int, y: Int, z: Int) -> Voxel {
        get { voxels[shape.index(x, y, z)] }
        set { voxels[shape.index(x, y, z)] = newValue }
    }

    /// Volume of one voxel in millilitres (1 ml = 1000 mm³).
    public var voxelMillilitres: Double { spacing.x * spacing.y * spacing.z * voxelShare / 1000 }
}

/// The values of a label map.
public enum Label {
    /// Neither liver nor lesion.
    public static let background: UInt8 = 0
    /// Liver without its lesions.
    public static let liver: UInt8 = 1
    /// A liver lesion; "liver" in any score means this too.
    public static let lesion: UInt8 = 2
    /// In masks to learn from: nobody knows what it is. Never in a result or a reference.
    public static let unknown: UInt8 = 255
}

/// Half-open ranges of voxels along each axis.
public struct Box: Hashable, Sendable {
    /// The voxels covered along each axis.
    public var x, y, z: Range<Int>

    /// A box of the given ranges.
    public init(x: Range<Int>, y: Range<Int>, z: Range<Int>) {
        self.x = x
        self.y = y
        self.z = z
    }

    /// The box's own shape.
    public var shape: Shape { Shape(x.count, y.count, z.count) }
}
