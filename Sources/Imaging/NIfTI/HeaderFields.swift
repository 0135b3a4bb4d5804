/// Where the fields of a NIfTI header are, and how wide.
///
/// Source: nifti1.h and nifti2.h of the NIfTI Data Format Working Group.
struct HeaderLayout: Equatable, Sendable {
    let version: Int
    /// Bytes of the header.
    let size: Int
    /// What `magic` must hold for a single file.
    let magicValue: [UInt8]
    /// Bytes of a real number, of an entry of `dim`, and of a code such as `qform_code`.
    let realWidth, dimWidth, codeWidth: Int
    let magic, datatype, bitpix, dim, intentCode, intentParameters, pixdim, voxelOffset, slope, intercept: Int
    let qformCode, sformCode, quaternion, qformOffset, srows, units: Int
    /// Fields that may name a patient or that describe the input's values: zero in what we write.
    let blanked: [Range<Int>]

    /// NIfTI-1: 348 bytes.
    static let one = HeaderLayout(
        version: 1, size: 348, magicValue: Array("n+1\0".utf8), realWidth: 4, dimWidth: 2, codeWidth: 2, magic: 344,
        datatype: 70, bitpix: 72, dim: 40, intentCode: 68, intentParameters: 56, pixdim: 76, voxelOffset: 108,
        slope: 112, intercept: 116, qformCode: 252, sformCode: 254, quaternion: 256, qformOffset: 268, srows: 280,
        units: 123,
        // data_type, db_name, extents, session_error; intent; cal_max, cal_min; glmax, glmin, descrip, aux_file;
        // intent_name
        blanked: [4..<38, 56..<70, 124..<132, 140..<252, 328..<344])

    /// NIfTI-2: 540 bytes.
    static let two = HeaderLayout(
        version: 2, size: 540, magicValue: Array("n+2\0\r\n\u{1A}\n".utf8), realWidth: 8, dimWidth: 8, codeWidth: 4,
        magic: 4, datatype: 12, bitpix: 14, dim: 16, intentCode: 504, intentParameters: 80, pixdim: 104,
        voxelOffset: 168, slope: 176, intercept: 184, qformCode: 344, sformCode: 348, quaternion: 352,
        qformOffset: 376, srows: 400, units: 500,
        // intent parameters; cal_max, cal_min; descrip, aux_file; intent_code, intent_name; unused_str
        blanked: [80..<104, 192..<208, 240..<344, 504..<524, 525..<540])
}

/// A header's bytes with its fields read and written by offset, in the file's own byte order.
struct HeaderFields {
    private(set) var bytes: [UInt8]
    let layout: HeaderLayout
    /// Whether the file's byte order is not this machine's.
    let swapped: Bool

    /// An empty header in this machine's byte order.
    init(layout: HeaderLayout) {
        bytes = Array(repeating: 0, count: layout.size)
        self.layout = layout
        swapped = false
        set(Int32(layout.size), at: 0)
        bytes.replaceSubrange(layout.magic..<layout.magic + layout.magicValue.count, with: layout.magicValue)
    }

    /// Finds version and byte order; `bytes` may go on after the header.
    ///
    /// - Throws: ``VolumeError/notNIfTI(found:)``, ``VolumeError/headerPair``.
    init(recognising bytes: [UInt8]) throws(VolumeError) {
        guard bytes.count >= 4 else { throw .notNIfTI(found: "it is shorter than a NIfTI header") }
        let length = bytes.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
        let layouts = [HeaderLayout.one, .two]
        if let layout = layouts.first(where: { $0.size == length }) {
            self.layout = layout
            swapped = false
        } else if let layout = layouts.first(where: { $0.size == length.byteSwapped }) {
            self.layout = layout
            swapped = true
        } else {
            throw .notNIfTI(found: Self.guess(bytes))
        }
        guard bytes.count >= layout.size else { throw .notNIfTI(found: "it is shorter than a NIfTI header") }
        self.bytes = Array(bytes.prefix(layout.size))
        let magic = Array(self.bytes[layout.magic..<layout.magic + layout.magicValue.count])
        if magic == layout.magicValue { return }
        if magic.prefix(4) == Array("ni\(layout.version)\0".utf8)[...] { throw .headerPair }
        if layout.version == 1, magic.allSatisfy({ $0 == 0 }) { throw .notNIfTI(found: "it is an Analyze 7.5 header") }
        throw .notNIfTI(found: "the magic word of its header is wrong")
    }

    /// What a file that is no NIfTI is, from its first bytes.
    private static func guess(_ bytes: [UInt8]) -> String {
        func has(_ text: String, at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: Array(text.utf8)) }
        if has("DICM", at: 128) { return "it is a DICOM file" }
        if has("ustar", at: 257) { return "it is a tar archive" }
        if bytes.starts(with: [0x1F, 0x8B]) { return "it was compressed by gzip twice" }
        let known: [(start: [UInt8], name: String)] = [
            (Array("PK".utf8), "a zip archive"), (Array("NRRD".utf8), "an NRRD file"),
            (Array("ObjectType".utf8), "a MetaImage header"),
            (Array("MZ".utf8), "a Windows program or a self-extracting zip"),
            (Array("Rar!".utf8), "a RAR archive"), ([0x37, 0x7A, 0xBC, 0xAF], "a 7-Zip archive"),
            ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "an xz file"), (Array("BZh".utf8), "a bzip2 file"),
            ([0x28, 0xB5, 0x2F, 0xFD], "a Zstandard file"), ([0x89, 0x50, 0x4E, 0x47], "a PNG picture"),
            ([0xFF, 0xD8, 0xFF], "a JPEG picture"), (Array("%PDF".utf8), "a PDF document"),
            ([0x89, 0x48, 0x44, 0x46], "an HDF5 file"), (Array("<".utf8), "a text file"),
            (Array("{".utf8), "a text file"),
        ]
        if let kind = known.first(where: { bytes.starts(with: $0.start) }) { return "it is \(kind.name)" }
        return "its first bytes are not a NIfTI header"
    }

    // MARK: Fields by offset

    func integer<Width: FixedWidthInteger & BitwiseCopyable>(_ type: Width.Type, at offset: Int) -> Width {
        let raw = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
        return swapped ? raw.byteSwapped : raw
    }

    /// Field `index` of a row of real numbers at `offset`.
    func real(at offset: Int, _ index: Int = 0) -> Double {
        layout.realWidth == 4
            ? Double(Float(bitPattern: integer(UInt32.self, at: offset + 4 * index)))
            : Double(bitPattern: integer(UInt64.self, at: offset + 8 * index))
    }

    /// An entry of `dim`.
    func dim(_ index: Int) -> Int {
        layout.dimWidth == 2
            ? Int(integer(Int16.self, at: layout.dim + 2 * index))
            : Int(integer(Int64.self, at: layout.dim + 8 * index))
    }

    /// `qform_code` or `sform_code`.
    func code(at offset: Int) -> Int {
        layout.codeWidth == 2 ? Int(integer(Int16.self, at: offset)) : Int(integer(Int32.self, at: offset))
    }

    /// `xyzt_units`.
    var units: Int { layout.version == 1 ? Int(bytes[layout.units]) : Int(integer(Int32.self, at: layout.units)) }

    /// `vox_offset`: a float in NIfTI-1, an integer in NIfTI-2.
    var voxelOffset: Double {
        layout.version == 1
            ? real(at: layout.voxelOffset) : Double(integer(Int64.self, at: layout.voxelOffset))
    }

    mutating func set<Width: FixedWidthInteger & BitwiseCopyable>(_ value: Width, at offset: Int) {
        let raw = swapped ? value.byteSwapped : value
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: raw, toByteOffset: offset, as: Width.self) }
    }

    mutating func set(real value: Double, at offset: Int, _ index: Int = 0) {
        if layout.realWidth == 4 {
            set(Float(value).bitPattern, at: offset + 4 * index)
        } else {
            set(value.bitPattern, at: offset + 8 * index)
        }
    }

    mutating func set(dim index: Int, to value: Int) {
        if layout.dimWidth == 2 {
            set(Int16(value), at: layout.dim + 2 * index)
        } else {
            set(Int64(value), at: layout.dim + 8 * index)
        }
    }

    mutating func set(code value: Int, at offset: Int) {
        if layout.codeWidth == 2 { set(Int16(value), at: offset) } else { set(Int32(value), at: offset) }
    }

    mutating func set(units value: Int) {
        if layout.version == 1 { bytes[layout.units] = UInt8(value) } else { set(Int32(value), at: layout.units) }
    }

    mutating func set(voxelOffset value: Int) {
        if layout.version == 1 {
            set(real: Double(value), at: layout.voxelOffset)
        } else {
            set(Int64(value), at: layout.voxelOffset)
        }
    }

    mutating func blankDescriptions() {
        for range in layout.blanked { for index in range { bytes[index] = 0 } }
    }
}
