internal import CDicom
import Foundation

/// An attribute's tag: group and element.
struct DicomTag {
    let value: UInt32

    init(_ group: UInt16, _ element: UInt16) { value = UInt32(group) << 16 | UInt32(element) }

    static let mediaStorageClass = DicomTag(0x0002, 0x0002)
    static let mediaStorageInstance = DicomTag(0x0002, 0x0003)
    static let imageType = DicomTag(0x0008, 0x0008)
    static let sopClass = DicomTag(0x0008, 0x0016)
    static let sopInstance = DicomTag(0x0008, 0x0018)
    static let acquisitionDate = DicomTag(0x0008, 0x0022)
    static let contentDate = DicomTag(0x0008, 0x0023)
    static let acquisitionDateTime = DicomTag(0x0008, 0x002A)
    static let seriesTime = DicomTag(0x0008, 0x0031)
    static let acquisitionTime = DicomTag(0x0008, 0x0032)
    static let contentTime = DicomTag(0x0008, 0x0033)
    static let modality = DicomTag(0x0008, 0x0060)
    static let seriesDescription = DicomTag(0x0008, 0x103E)
    static let frameType = DicomTag(0x0008, 0x9007)
    static let patientName = DicomTag(0x0010, 0x0010)
    static let patientID = DicomTag(0x0010, 0x0020)
    static let patientBirthDate = DicomTag(0x0010, 0x0030)
    static let thickness = DicomTag(0x0018, 0x0050)
    static let voltage = DicomTag(0x0018, 0x0060)
    static let contrastStartTime = DicomTag(0x0018, 0x1042)
    static let triggerTime = DicomTag(0x0018, 0x1060)
    static let kernel = DicomTag(0x0018, 0x1210)
    static let frameTime = DicomTag(0x0018, 0x9074)
    static let cardiacSynchronization = DicomTag(0x0018, 0x9118)
    static let reconstruction = DicomTag(0x0018, 0x9314)
    static let frameKernel = DicomTag(0x0018, 0x9315)
    static let frameTypes = DicomTag(0x0018, 0x9329)
    static let studyInstance = DicomTag(0x0020, 0x000D)
    static let seriesInstance = DicomTag(0x0020, 0x000E)
    static let seriesNumber = DicomTag(0x0020, 0x0011)
    static let acquisitionNumber = DicomTag(0x0020, 0x0012)
    static let instanceNumber = DicomTag(0x0020, 0x0013)
    static let sliceLocation = DicomTag(0x0020, 0x1041)
    static let position = DicomTag(0x0020, 0x0032)
    static let orientation = DicomTag(0x0020, 0x0037)
    static let frameOfReference = DicomTag(0x0020, 0x0052)
    static let frameContent = DicomTag(0x0020, 0x9111)
    static let planePosition = DicomTag(0x0020, 0x9113)
    static let planeOrientation = DicomTag(0x0020, 0x9116)
    static let stack = DicomTag(0x0020, 0x9056)
    static let temporalIndex = DicomTag(0x0020, 0x9128)
    static let frameAcquisition = DicomTag(0x0020, 0x9156)
    static let heartPhase = DicomTag(0x0020, 0x9241)
    static let temporalPosition = DicomTag(0x0020, 0x0100)
    static let samples = DicomTag(0x0028, 0x0002)
    static let frames = DicomTag(0x0028, 0x0008)
    static let rows = DicomTag(0x0028, 0x0010)
    static let columns = DicomTag(0x0028, 0x0011)
    static let pixelSpacing = DicomTag(0x0028, 0x0030)
    static let bitsAllocated = DicomTag(0x0028, 0x0100)
    static let pixelRepresentation = DicomTag(0x0028, 0x0103)
    static let padding = DicomTag(0x0028, 0x0120)
    static let paddingLimit = DicomTag(0x0028, 0x0121)
    static let pixelMeasures = DicomTag(0x0028, 0x9110)
    static let pixelTransformation = DicomTag(0x0028, 0x9145)
    static let intercept = DicomTag(0x0028, 0x1052)
    static let slope = DicomTag(0x0028, 0x1053)
    static let rescaleType = DicomTag(0x0028, 0x1054)
    static let sharedGroups = DicomTag(0x5200, 0x9229)
    static let frameGroups = DicomTag(0x5200, 0x9230)
}

/// Why a file could not be read as DICOM or its pixels not be decoded.
enum DicomFault: Error {
    case cannotOpen, empty, notDicom, damaged, noPixels, unknownSyntax, unknownPixels, truncated, notDecoded
    case outOfMemory, noDictionary, wrongSyntax, inflatesTooFar

    fileprivate init?(_ status: cdicom_status) {
        switch status {
        case CDICOM_OK: return nil
        case CDICOM_CANNOT_OPEN: self = .cannotOpen
        case CDICOM_EMPTY: self = .empty
        case CDICOM_NOT_DICOM: self = .notDicom
        case CDICOM_NO_PIXELS: self = .noPixels
        case CDICOM_UNKNOWN_SYNTAX: self = .unknownSyntax
        case CDICOM_UNKNOWN_PIXELS: self = .unknownPixels
        case CDICOM_TRUNCATED: self = .truncated
        case CDICOM_NOT_DECODED: self = .notDecoded
        case CDICOM_WRONG_SYNTAX: self = .wrongSyntax
        case CDICOM_INFLATES_TOO_FAR: self = .inflatesTooFar
        case CDICOM_OUT_OF_MEMORY: self = .outOfMemory
        case CDICOM_NO_DICTIONARY: self = .noDictionary
        default: self = .damaged
        }
    }
}

/// The attributes of one DICOM file, read up to its pixel data. Owns DCMTK's copy of them.
struct DicomFile: ~Copyable {
    private let file: OpaquePointer

    /// To how many bytes a deflated data set inflates; 0 where nothing is deflated.
    let inflated: Int

    /// Reads the attributes; no pixel is read.
    ///
    /// - Parameter inflateLimit: the most bytes that a deflated data set may have.
    init(reading path: String, inflateLimit: Int = .max) throws(DicomFault) {
        var file: OpaquePointer?
        var inflated = 0
        if let fault = DicomFault(cdicom_open(path, inflateLimit, &file, &inflated)) { throw fault }
        guard let file else { throw .damaged }
        self.file = file
        self.inflated = inflated
    }

    deinit { cdicom_close(file) }

    /// The transfer syntax's UID.
    var syntax: String { text { cdicom_syntax(file, $0, $1) } }

    /// The text of an attribute, several values joined by a backslash; empty where it is absent.
    func text(_ tag: DicomTag) -> String {
        text { cdicom_text(file, tag.value, $0, $1) }.trimmingCharacters(in: .whitespaces)
    }

    /// The text of an attribute that an enhanced image keeps in a functional group of a frame or of all.
    func text(_ tag: DicomTag, in sequence: DicomTag, frame: Int) -> String {
        text { cdicom_frame_text(file, UInt32(frame), sequence.value, tag.value, $0, $1) }
            .trimmingCharacters(in: .whitespaces)
    }

    /// The numbers of an attribute, at most `limit`; none where it is absent, NaN for each that is no number.
    func numbers(_ tag: DicomTag, limit: Int = 6) -> [Double] {
        [Double](unsafeUninitializedCapacity: limit) { buffer, count in
            count = cdicom_numbers(file, tag.value, buffer.baseAddress, limit)
        }
    }

    /// The numbers of an attribute that an enhanced image keeps in a functional group of a frame or of all.
    func numbers(_ tag: DicomTag, in sequence: DicomTag, frame: Int, limit: Int = 6) -> [Double] {
        [Double](unsafeUninitializedCapacity: limit) { buffer, count in
            count = cdicom_frame_numbers(
                file, UInt32(frame), sequence.value, tag.value, buffer.baseAddress, limit)
        }
    }

    /// The first number of an attribute as an integer, where it is one of at most 32 bits.
    func integer(_ tag: DicomTag) -> Int? { numbers(tag, limit: 1).first.flatMap { Int32(exactly: $0) }.map(Int.init) }

    private func text(_ fill: (UnsafeMutablePointer<CChar>?, Int) -> Void) -> String {
        // The longest text of interest, an image type of several values, is far shorter.
        let bytes = [CChar](unsafeUninitializedCapacity: 512) { buffer, count in
            buffer.initialize(repeating: 0)
            fill(buffer.baseAddress, buffer.count)
            count = buffer.count
        }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Decodes frames of files. Keeps the last file open, as the frames of one mostly come one after the other, and reading
/// its header anew for each would take the square of their number.
final class PixelReader {
    private var path = ""
    private var pixels: OpaquePointer?

    deinit { cdicom_pixels_close(pixels) }

    /// Decodes one frame of a file, counted from 0.
    ///
    /// - Returns: `rows` · `columns` stored values, row after row, before slope and intercept.
    func storedValues(of path: String, frame: Int, rows: Int, columns: Int) throws(DicomFault) -> [Int32] {
        guard let height = UInt16(exactly: rows), let width = UInt16(exactly: columns) else { throw .unknownPixels }
        try open(path)
        var fault: DicomFault?
        let values = [Int32](unsafeUninitializedCapacity: rows * columns) { buffer, count in
            fault = DicomFault(
                cdicom_decode(pixels, UInt32(frame), height, width, buffer.baseAddress, buffer.count))
            count = fault == nil ? rows * columns : 0
        }
        if let fault { throw fault }
        return values
    }

    private func open(_ path: String) throws(DicomFault) {
        if pixels != nil, self.path == path { return }
        cdicom_pixels_close(pixels)
        pixels = nil
        if let fault = DicomFault(cdicom_pixels_open(path, &pixels)) { throw fault }
        self.path = path
    }
}
