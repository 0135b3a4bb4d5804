/// An affine map from voxel indices to patient millimetres, as NIfTI has it: in the result x grows to the patient's
/// Right, y to Anterior and z to Superior (RAS+).
public struct Affine: Equatable, Sendable {
    /// The step in mm that one voxel along x, y, z makes.
    public var x, y, z: SIMD3<Double>
    /// Position of the centre of voxel (0, 0, 0), in mm.
    public var origin: SIMD3<Double>

    /// A map with the given steps and origin, in mm.
    public init(x: SIMD3<Double>, y: SIMD3<Double>, z: SIMD3<Double>, origin: SIMD3<Double>) {
        self.x = x
        self.y = y
        self.z = z
        self.origin = origin
    }

    /// Patient millimetres (RAS+) of a voxel position, which may lie between voxels.
    public func callAsFunction(_ position: SIMD3<Double>) -> SIMD3<Double> {
        origin + x * position.x + y * position.y + z * position.z
    }

    /// The step along voxel axis 0, 1 or 2.
    public subscript(axis: Int) -> SIMD3<Double> { axis == 0 ? x : axis == 1 ? y : z }

    /// Lengths of the three steps: the distance between voxel centres along each axis, in mm.
    public var spacing: SIMD3<Double> { SIMD3(length(x), length(y), length(z)) }
}

/// Euclidean length.
func length(_ v: SIMD3<Double>) -> Double { (v * v).sum().squareRoot() }
