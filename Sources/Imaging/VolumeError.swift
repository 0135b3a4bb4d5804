/// Why a volume is refused, or could not be read or written.
///
/// ``isUsersFault`` tells what the sender of the file can mend from what is ours to mend.
public enum VolumeError: Error, Codable, Equatable, Sendable {
    /// The file cannot be opened.
    case cannotOpen(reason: String)
    /// The system failed while the file was read.
    case readFailed(reason: String)
    /// The content is something else; `found` says what, as half a sentence that starts with "it".
    case notNIfTI(found: String)
    /// The header belongs to a .hdr/.img pair, whose voxels are in another file.
    case headerPair
    /// `dim` is not possible: a wrong number of dimensions, or a length below 1.
    case badDimensions(found: [Int])
    /// More than one volume: `found` are the lengths of all axes.
    case fourDimensional(found: [Int])
    /// Fewer than 2 voxels along an axis: `found` are the lengths of all axes.
    case tooFewSlices(found: [Int])
    /// More voxels than this server accepts.
    case tooLarge(found: [Int], limit: Int)
    /// More bytes, once inflated, than this server accepts.
    case tooManyBytes(found: Int, limit: Int)
    /// A compressed scan would inflate to so many times its own size as no scan does.
    case inflatesTooFar(ratio: Int, limit: Int)
    /// A voxel type that is not one real number, or is unknown.
    case unsupportedDatatype(code: Int)
    /// `bitpix` is not the size of `datatype`.
    case bitpixMismatch(bits: Int, expected: Int)
    /// The voxels would begin inside the header, far behind it, or between two bytes.
    case badVoxelOffset(found: Double, lowest: Int, highest: Int)
    /// A voxel spacing that is no number, or outside what CT scanners make; `axis` counts the file's axes from 1.
    case spacingOutOfRange(axis: Int, millimetres: Double)
    /// `xyzt_units` says metre or micrometre.
    case unitsNotMillimetres(found: String)
    /// `scl_slope` or `scl_inter` is infinite.
    case badScaling(slope: Double, intercept: Double)
    /// The position of the voxels in the patient is not given by finite numbers.
    case affineNotFinite(form: String)
    /// The position of the voxels in the patient puts them into a plane, a line or a point.
    case singularAffine(form: String)
    /// The file ends too early.
    case truncated(expected: Int, found: Int)
    /// There is more data than the header declares: a damaged file, or one made to exhaust the server.
    case longerThanDeclared(expected: Int)
    /// The compressed data is damaged.
    case damagedGzip(reason: String)
    /// No voxel is denser than -500 HU: `maximum` is the highest value, in HU.
    case allAir(maximum: Double)
    /// Every voxel has the same value.
    case constant(value: Double)
    /// No voxel has a finite value.
    case notFinite
    /// A voxel of a mask that is not 0, 1 or 2.
    case notALabel(value: Double)
    /// Two volumes that must lie on one grid do not; the sentence comes from ``NIfTIHeader/gridDifference(from:)``.
    case gridMismatch(difference: String)
    /// The output's name does not end in .nii or .nii.gz.
    case badOutputName
    /// libnifti understands the header otherwise than we do.
    case readersDisagree(about: String)
    /// The disk, or the quota on it, is full.
    case diskFull
    /// The system failed while a file was written.
    case writeFailed(reason: String)
    /// A file just written does not hold what was to be written.
    case verificationFailed(about: String)
}

extension VolumeError {
    /// A name for programs; it does not change from one version to the next.
    public var code: String {
        switch self {
        case .cannotOpen: "cannot_open"
        case .readFailed: "read_failed"
        case .notNIfTI: "not_nifti"
        case .headerPair: "header_pair"
        case .badDimensions: "bad_dimensions"
        case .fourDimensional: "four_dimensional"
        case .tooFewSlices: "too_few_slices"
        case .tooLarge: "too_large"
        case .tooManyBytes: "too_many_bytes"
        case .inflatesTooFar: "inflates_too_far"
        case .unsupportedDatatype: "unsupported_datatype"
        case .bitpixMismatch: "bitpix_mismatch"
        case .badVoxelOffset: "bad_voxel_offset"
        case .spacingOutOfRange: "spacing_out_of_range"
        case .unitsNotMillimetres: "units_not_millimetres"
        case .badScaling: "bad_scaling"
        case .affineNotFinite: "affine_not_finite"
        case .singularAffine: "singular_affine"
        case .truncated: "truncated"
        case .longerThanDeclared: "longer_than_declared"
        case .damagedGzip: "damaged_gzip"
        case .allAir: "all_air"
        case .constant: "constant"
        case .notFinite: "not_finite"
        case .notALabel: "not_a_label"
        case .gridMismatch: "grid_mismatch"
        case .badOutputName: "bad_output_name"
        case .readersDisagree: "readers_disagree"
        case .diskFull: "disk_full"
        case .writeFailed: "write_failed"
        case .verificationFailed: "verification_failed"
        }
    }

    /// Whether another file, or another name for it, would mend it. Otherwise the fault is the server's.
    public var isUsersFault: Bool {
        switch self {
        case .readFailed, .readersDisagree, .diskFull, .writeFailed, .verificationFailed: false
        default: true
        }
    }
}

extension VolumeError: CustomStringConvertible {
    /// What was found, what is accepted and what to change.
    public var description: String {
        switch self {
        case .cannotOpen(let reason):
            "The file cannot be opened: \(reason). Check its name and its permissions."
        case .readFailed(let reason):
            "The file could not be read: \(reason)."
        case .notNIfTI(let found):
            """
            The file is not a NIfTI volume: \(found). A volume is one .nii file, or one .nii.gz that was compressed once; a CT \
            may also be DICOM files, or one zip of them.
            """
        case .headerPair:
            "The file is the header of a .hdr/.img pair. Send a single .nii or .nii.gz file that holds the voxels too."
        case .badDimensions(let found):
            "The header's dimensions (\(lengths(found))) are not possible. Export the volume again."
        case .fourDimensional(let found):
            "The file holds more than one volume (\(lengths(found)) voxels). Send one 3-D volume: one phase of the scan."
        case .tooFewSlices(let found):
            "The volume has \(lengths(found)) voxels. It needs at least 2 along every axis: send the whole scan, not a slice."
        case .tooLarge(let found, let limit):
            "The volume would have \(lengths(found)) voxels; at most \(limit) in all are accepted. Crop it or resample it."
        case .tooManyBytes(let found, let limit):
            """
            The volume would take \(found) bytes uncompressed; at most \(limit) are accepted. Crop it, or store it \
            as 16-bit integers.
            """
        case .inflatesTooFar(let ratio, let limit):
            """
            The compressed file would inflate to \(ratio) times its size; at most \(limit) times are accepted, and scans of \
            patients inflate to fewer than 20. Check that the volume holds the scan, or send it uncompressed.
            """
        case .unsupportedDatatype(let code):
            """
            The voxels are of NIfTI datatype \(code). Integers of 8 to 64 bits and floats of 32 or 64 bits are \
            accepted; colour, complex and 128-bit voxels are not.
            """
        case .bitpixMismatch(let bits, let expected):
            "The header gives \(bits) bits a voxel where its datatype has \(expected). Export the volume again."
        case .badVoxelOffset(let found, let lowest, let highest):
            """
            The voxels would begin at byte \(plain(found)) (vox_offset). It must be a whole number from \(lowest) to \
            \(highest). Export the volume again.
            """
        case .spacingOutOfRange(let axis, let millimetres):
            """
            The voxel spacing along the file's axis \(axis) is \(plain(millimetres)) mm. It must be between 0.1 and \
            20 mm. Correct the header or export the volume again.
            """
        case .unitsNotMillimetres(let found):
            "The header says that lengths are in \(found). Only millimetres are accepted: convert the header."
        case .badScaling(let slope, let intercept):
            """
            The header scales voxels by \(plain(slope)) and adds \(plain(intercept)). Neither scl_slope nor scl_inter \
            may be infinite; a slope of 0 stands for values that are not scaled. Correct the header.
            """
        case .affineNotFinite(let form):
            "The header's \(form) holds numbers that are not finite. Correct the header or export the volume again."
        case .singularAffine(let form):
            """
            The header's \(form) is singular: it does not place the voxels in space. Correct the header or export the \
            volume again.
            """
        case .truncated(let expected, let found) where found >= expected:
            """
            The compressed file breaks off behind its last voxel: gzip's own end, which holds their checksum, is missing. Send \
            it again, whole.
            """
        case .truncated(let expected, let found):
            "The file ends too early: \(found) bytes of \(expected) (uncompressed). Send it again, whole."
        case .longerThanDeclared(let expected):
            """
            The file goes on after the \(expected) bytes (uncompressed) that its header declares. Export the volume \
            again.
            """
        case .damagedGzip(let reason):
            "The compressed file is damaged: \(reason). Send it again, whole, or compress it again."
        case .allAir(let maximum):
            """
            No voxel is denser than \(plain(maximum)) HU: the volume holds only air. Check that the scan is a CT and \
            that scl_slope and scl_inter give Hounsfield units.
            """
        case .constant(let value):
            "Every voxel has the value \(plain(value)). Check that the volume holds the scan."
        case .notFinite:
            "No voxel has a finite value. Check that the volume holds the scan."
        case .notALabel(let value):
            "The mask holds the value \(plain(value)). Only 0 (background), 1 (liver) and 2 (lesion) are accepted."
        case .gridMismatch(let difference):
            """
            The reference and the image are not on the same grid: \(difference). Send a reference that was drawn on \
            this image; it is not resampled.
            """
        case .badOutputName:
            "The output's name must end in .nii or .nii.gz."
        case .readersDisagree(let about):
            "Two readers of the header disagree about its \(about)."
        case .diskFull:
            "The disk is full: the volume could not be written."
        case .writeFailed(let reason):
            "The volume could not be written: \(reason)."
        case .verificationFailed(let about):
            "The volume just written differs from what was to be written: \(about)."
        }
    }
}

/// `512 x 512 x 129`.
private func lengths(_ axes: [Int]) -> String { axes.map(String.init).joined(separator: " x ") }

/// A number as people write it: whole numbers without a point, others with at most four decimals.
func plain(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "not a number" : value < 0 ? "-infinity" : "infinity" }
    guard abs(value) < 1e15 else { return "\(value)" }
    let rounded = (value * 1e4).rounded() / 1e4
    if rounded == 0, value != 0 { return "\(value)" }
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
}
