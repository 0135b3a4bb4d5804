/// What one voxel is in a file.
public enum VoxelType: String, CaseIterable, Sendable {
    case uint8, int8, uint16, int16, uint32, int32, uint64, int64, float32, float64

    /// NIfTI's `datatype` code.
    public var code: Int {
        switch self {
        case .uint8: 2
        case .int16: 4
        case .int32: 8
        case .float32: 16
        case .float64: 64
        case .int8: 256
        case .uint16: 512
        case .uint32: 768
        case .int64: 1024
        case .uint64: 1280
        }
    }

    /// Bytes a voxel.
    public var size: Int {
        switch self {
        case .uint8, .int8: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        }
    }

    /// The type with NIfTI's `datatype` code, or nil where the code is another one: colour, complex, unknown.
    public init?(code: Int) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }
}

/// A number type that voxels have in files.
protocol StoredVoxel: BitwiseCopyable, Comparable, Sendable {
    /// Whether a value can be infinite or no number at all.
    static var isFloat: Bool { get }
    /// The same bytes in the other order.
    var byteSwapped: Self { get }
    /// The value; above 2^53 the nearest Double.
    var real: Double { get }
    /// The number of this type that is `value`; nil where there is none.
    init?(exactly value: Double)
}

extension StoredVoxel where Self: FixedWidthInteger {
    static var isFloat: Bool { false }
    @inline(__always) var real: Double { Double(self) }
}

extension UInt8: StoredVoxel {}
extension Int8: StoredVoxel {}
extension UInt16: StoredVoxel {}
extension Int16: StoredVoxel {}
extension UInt32: StoredVoxel {}
extension Int32: StoredVoxel {}
extension UInt64: StoredVoxel {}
extension Int64: StoredVoxel {}

extension Float: StoredVoxel {
    static var isFloat: Bool { true }
    @inline(__always) var byteSwapped: Float { Float(bitPattern: bitPattern.byteSwapped) }
    @inline(__always) var real: Double { Double(self) }
}

extension Double: StoredVoxel {
    static var isFloat: Bool { true }
    @inline(__always) var byteSwapped: Double { Double(bitPattern: bitPattern.byteSwapped) }
    @inline(__always) var real: Double { self }
}

/// Work that is compiled once for each voxel type, so that its loops are as fast as if written for it.
protocol VoxelTypeVisitor {
    associatedtype Result
    func visit<Stored: StoredVoxel>(_ type: Stored.Type) -> Result
}

extension VoxelType {
    /// Runs `visitor` for this type.
    func accept<Visitor: VoxelTypeVisitor>(_ visitor: Visitor) -> Visitor.Result {
        switch self {
        case .uint8: visitor.visit(UInt8.self)
        case .int8: visitor.visit(Int8.self)
        case .uint16: visitor.visit(UInt16.self)
        case .int16: visitor.visit(Int16.self)
        case .uint32: visitor.visit(UInt32.self)
        case .int32: visitor.visit(Int32.self)
        case .uint64: visitor.visit(UInt64.self)
        case .int64: visitor.visit(Int64.self)
        case .float32: visitor.visit(Float.self)
        case .float64: visitor.visit(Double.self)
        }
    }
}
