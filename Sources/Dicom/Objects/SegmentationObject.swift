internal import CDicom
public import Foundation
public import Imaging

/// What a DICOM segmentation object says of itself.
public struct SegmentationIdentity: Codable, Equatable, Sendable {
    /// SOPInstanceUID and SeriesInstanceUID of the object, and the UID of its dimensions.
    public let instance, series, dimensions: String
    /// When the labels were made.
    public let made: Date
    /// The version of the program, and the name of the model that it used.
    public let version, model: String

    /// An identity whose UIDs follow from `name` alone: the same name always gives the same object.
    public init(name: String, made: Date, version: String, model: String) {
        instance = derivedUID("\(name)/instance")
        series = derivedUID("\(name)/series")
        dimensions = derivedUID("\(name)/dimensions")
        self.made = made
        self.version = version
        self.model = model
    }
}

/// Why no segmentation object was made.
public enum SegmentationObjectError: Error, Codable, Equatable, Sendable {
    /// The import kept no UIDs or no places of slices, or they name no slice alone.
    case noSource
    /// The labels do not lie on the slices.
    case otherGrid
    /// DCMTK refuses, or its dictionary is not installed.
    case notEncoded
    /// The CT slice is of another study than the object.
    case otherStudy
    /// The system refuses to write.
    case notWritten
}

extension SegmentationObjectError: CustomStringConvertible {
    /// What is wrong, then what to change.
    public var description: String {
        switch self {
        case .noSource:
            """
            The DICOM files' UIDs and places were not kept, or their UIDs are missing or not different in each slice. Import \
            them with their UIDs, or export them with UIDs of their own.
            """
        case .otherGrid: "The labels are not on the grid of the DICOM slices. Take the mask of the same import."
        case .notEncoded: "DCMTK cannot write the labels as DICOM. Check that its data dictionary is installed."
        case .otherStudy: "The CT slice is of another study than the segmentation. Take one of the same study."
        case .notWritten: "The segmentation could not be written. Check the disk's space and the folder's rights."
        }
    }
}

/// Writes labels as a DICOM segmentation object (PS3.3 section A.51) on the slices that they were made from.
///
/// Binary, with two segments: 1 is the liver with its lesions, 2 the lesions. It refers to the slices by their UIDs and
/// has their places; of patient and study it says nothing but the study's UID.
///
/// - Parameters:
///   - labels: read from the mask of the volume that `report` calls taken.
///   - report: of an import with UIDs.
///   - output: replaced if it exists.
public func writeSegmentation(
    _ labels: LabelMap, on report: DicomReport, as identity: SegmentationIdentity, to output: URL
) throws(SegmentationObjectError) {
    guard let source = SegmentationSource(report) else { throw .noSource }
    guard source.holds(labels.header) else { throw .otherGrid }
    let memory = CMemory()
    var place = source.forC(memory)
    // Viewers list series by number: ours come after those of the scanner.
    var description = identity.forC(memory, seriesNumber: 1000 + max(0, source.volume.seriesNumber ?? 0))
    let status = withExtendedLifetime(memory) {
        cdicom_write_segmentation(output.path, &place, &description, labels.storedLabels)
    }
    try check(status)
}

/// Gives a segmentation object the patient and the study of a CT slice that it was made from.
///
/// - Parameters:
///   - object: a file by ``writeSegmentation(_:on:as:to:)``.
///   - slice: a CT slice's file.
///   - output: replaced if it exists.
public func takeOverPatient(
    into object: URL, from slice: URL, to output: URL
) throws(SegmentationObjectError) {
    let status = cdicom_take_over_patient(object.path, slice.path, output.path)
    if status == CDICOM_NOT_ENCODED { throw .otherStudy }
    try check(status)
}

private func check(_ status: cdicom_status) throws(SegmentationObjectError) {
    switch status {
    case CDICOM_OK: return
    case CDICOM_NOT_WRITTEN: throw .notWritten
    default: throw .notEncoded
    }
}

/// All that an import must have kept for an object to refer to it.
private struct SegmentationSource {
    let volume: DicomReport.Volume
    let study, series, frameOfReference, sopClass: String
    let orientation: [Double]
    let instances: [String]
    let slices: [DicomReport.UIDs.Slice]

    init?(_ report: DicomReport) {
        guard let volume = report.volumes.first(where: \.taken), let uids = report.uids, let study = uids.study,
            let series = uids.series, let frameOfReference = uids.frameOfReference, let sopClass = uids.sopClass,
            let orientation = uids.orientation, let slices = uids.slices, orientation.count == 6,
            volume.spacingMm.count == 3, slices.count == volume.slices, uids.instances.count == volume.slices,
            slices.allSatisfy({ $0.position.count == 3 }), uids.areUnambiguous
        else { return nil }
        self.volume = volume
        self.study = study
        self.series = series
        self.frameOfReference = frameOfReference
        self.sopClass = sopClass
        self.orientation = orientation
        self.slices = slices
        instances = uids.instances
    }

    /// Whether each slice lies where the grid has it: columns, rows and slices in the file's order.
    func holds(_ header: NIfTIHeader) -> Bool {
        guard header.storedShape == Shape(volume.columns, volume.rows, volume.slices) else { return false }
        let affine = header.storedAffine
        // Slices may lie a tenth of their distance from an even grid; NIfTI's y and x grow the other way.
        let tolerance = 0.2 * volume.spacingMm[2] + 0.01
        func lies(_ position: SIMD3<Double>, at voxel: SIMD3<Double>) -> Bool {
            let place = affine(voxel) * SIMD3(-1, -1, 1)
            let difference = place - position
            return dot(difference, difference).squareRoot() <= tolerance
        }
        let row = SIMD3(orientation[0], orientation[1], orientation[2]) * volume.spacingMm[0]
        let column = SIMD3(orientation[3], orientation[4], orientation[5]) * volume.spacingMm[1]
        return slices.enumerated().allSatisfy { index, slice in
            let position = SIMD3(slice.position[0], slice.position[1], slice.position[2])
            let (x, y, z) = (Double(volume.columns - 1), Double(volume.rows - 1), Double(index))
            return lies(position, at: SIMD3(0, 0, z)) && lies(position + row * x + column * y, at: SIMD3(x, y, z))
        }
    }
}

extension SegmentationSource {
    fileprivate func forC(_ memory: CMemory) -> cdicom_source {
        var place = cdicom_source()
        place.study = memory.copy(study)
        place.series = memory.copy(series)
        place.frame_of_reference = memory.copy(frameOfReference)
        place.sop_class = memory.copy(sopClass)
        place.instances = memory.copy(instances.map { Optional(memory.copy($0)) })
        place.frames = memory.copy(slices.map { UInt32($0.frame ?? 0) })
        place.positions = memory.copy(slices.flatMap(\.position))
        place.orientation = (
            orientation[0], orientation[1], orientation[2], orientation[3], orientation[4], orientation[5]
        )
        place.column_spacing = volume.spacingMm[0]
        place.row_spacing = volume.spacingMm[1]
        place.slice_spacing = volume.spacingMm[2]
        place.slices = UInt32(slices.count)
        place.rows = UInt16(volume.rows)
        place.columns = UInt16(volume.columns)
        return place
    }
}

extension SegmentationIdentity {
    fileprivate func forC(_ memory: CMemory, seriesNumber: Int) -> cdicom_identity {
        let day = Date.ISO8601FormatStyle().year().month().day().dateSeparator(.omitted)
        let clock = Date.ISO8601FormatStyle().time(includingFractionalSeconds: false).timeSeparator(.omitted)
        var identity = cdicom_identity()
        identity.instance = memory.copy(instance)
        identity.series = memory.copy(series)
        identity.dimensions = memory.copy(dimensions)
        identity.series_number = UInt32(clamping: seriesNumber)
        identity.date = memory.copy(made.formatted(day))
        identity.time = memory.copy(made.formatted(clock))
        identity.manufacturer = memory.copy("Hepar")
        identity.model = memory.copy("Hepar")
        // The standard wants one that is not empty.
        identity.serial_number = memory.copy("0")
        identity.version = memory.copy(dicomText(version))
        identity.algorithm = memory.copy(dicomText("Hepar \(version), model \(model)"))
        identity.description = memory.copy("Hepar: liver and lesions")
        return identity
    }
}

/// A long string (LO) of at most 64 characters: ASCII without control characters and backslashes.
private func dicomText(_ text: String) -> String {
    String(text.unicodeScalars.filter { (0x20...0x7E).contains($0.value) && $0 != "\\" }.prefix(64).map(Character.init))
}

/// Copies for C that live as long as this does.
private final class CMemory {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit { for block in blocks { block.deallocate() } }

    func copy(_ text: String) -> UnsafePointer<CChar> { copy(Array(text.utf8CString)) }

    func copy<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafePointer<Value> {
        let block = UnsafeMutablePointer<Value>.allocate(capacity: max(1, values.count))
        block.initialize(from: values, count: values.count)
        blocks.append(UnsafeMutableRawPointer(block))
        return UnsafePointer(block)
    }
}
