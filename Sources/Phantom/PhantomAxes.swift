public import Imaging

/// Why a phantom cannot be made. Every case is for the user to fix.
public enum PhantomError: Error, Equatable, Sendable {
    /// The axes are not three letters, one of each pair L/R, P/A, S/I.
    case unknownAxes(String)
    /// An axis has too few or too many voxels.
    case shapeOutOfRange(axis: String, voxels: Int)
    /// The volume has more voxels in all than a phantom may have.
    case tooLarge(voxels: Int)
    /// The spacing along an axis is too small, too large or not a number.
    case spacingOutOfRange(axis: String, millimetres: Double)
    /// The number of lesions is out of range.
    case lesionsOutOfRange(Int)
}

extension PhantomError: CustomStringConvertible {
    /// What is wrong, with the value found, then what would be accepted.
    public var description: String {
        switch self {
        case .unknownAxes(let axes):
            "The axes '\(axes)' are not known. Give three letters, one each of L or R, A or P, S or I, such as LPS or RAS."
        case .shapeOutOfRange(let axis, let voxels):
            "The phantom would have \(voxels) voxels along \(axis). It must have between 1 and 4096."
        case .tooLarge(let voxels):
            "The phantom would have \(voxels) voxels; at most \(PhantomOptions.voxelLimit) are possible."
        case .spacingOutOfRange(let axis, let millimetres):
            "The spacing along \(axis) is \(millimetres) mm. It must be between 0.1 and 20 mm."
        case .lesionsOutOfRange(let count):
            "The phantom cannot have \(count) lesions. It can have between 0 and 40."
        }
    }
}

extension PhantomOptions {
    /// The most voxels a phantom may have: what a reader accepts by default.
    public static let voxelLimit = VolumeLimits().voxels

    /// Makes sure that a phantom can be made of these options.
    public func check() throws(PhantomError) {
        for (axis, name) in ["x", "y", "z"].enumerated() {
            guard (1...4_096).contains(shape[axis]) else { throw .shapeOutOfRange(axis: name, voxels: shape[axis]) }
            // Written so that NaN is refused too.
            guard spacing[axis] >= 0.1, spacing[axis] <= 20 else {
                throw .spacingOutOfRange(axis: name, millimetres: spacing[axis])
            }
        }
        guard shape.count <= Self.voxelLimit else { throw .tooLarge(voxels: shape.count) }
        if let lesions, !(0...40).contains(lesions) { throw .lesionsOutOfRange(lesions) }
    }

    /// Whether `check` finds nothing wrong.
    var isSound: Bool {
        do throws(PhantomError) {
            try check()
            return true
        } catch {
            return false
        }
    }
}

/// The grid on which a file stores a volume whose axes point where `axes` says.
///
/// - Parameters:
///   - shape: voxels along the canonical axes (x to the Left, y to Posterior, z to Superior).
///   - spacing: the same axes' spacing in mm.
///   - axes: towards where stored x, y and z grow, such as `LPS`, `RAS` or `SPL`: any of the 48 ways.
/// - Returns: the stored shape, and the map from stored voxel indices to patient millimetres (RAS+); the middle of the
///   volume is at 0.
/// - Throws: ``PhantomError/unknownAxes(_:)``.
public func phantomAffine(
    shape: Shape, spacing: SIMD3<Double>, axes: String
) throws(PhantomError) -> (storedShape: Shape, affine: Affine) {
    let directions = axes.uppercased().compactMap { direction($0) }
    guard axes.count == 3, directions.count == 3, Set(directions.map(\.axis)).count == 3 else {
        throw .unknownAxes(axes)
    }
    var counts = [0, 0, 0]
    var steps = [SIMD3<Double>](repeating: .zero, count: 3)
    var origin = SIMD3<Double>.zero
    for (stored, direction) in directions.enumerated() {
        counts[stored] = shape[direction.axis]
        steps[stored][direction.axis] = direction.sign * spacing[direction.axis]
        origin -= steps[stored] * (Double(shape[direction.axis] - 1) / 2)
    }
    return (
        Shape(counts[0], counts[1], counts[2]), Affine(x: steps[0], y: steps[1], z: steps[2], origin: origin)
    )
}

/// The patient axis (0 left-right, 1 back-front, 2 feet-head) that a letter names, and its sign in RAS+ millimetres.
private func direction(_ letter: Character) -> (axis: Int, sign: Double)? {
    switch letter {
    case "R": (0, 1)
    case "L": (0, -1)
    case "A": (1, 1)
    case "P": (1, -1)
    case "S": (2, 1)
    case "I": (2, -1)
    default: nil
    }
}
