import Compute
import Dicom
import Foundation
import Imaging
import Preview
import Segmentation

/// The report's page of a case that was no job: of the command line.
///
/// - Parameters:
///   - name: what the scan is called; the page tells it.
///   - dicom: what was imported, where the scan came as DICOM.
///   - image: the CT, NIfTI.
///   - mask: the label map that the report tells of.
///   - reference: another one to outline; nil for none.
/// - Returns: well-formed HTML with everything in it.
/// - Throws: `VolumeError`, `PictureError`.
public func reportPage(
    of report: Report, name: String, dicom: DicomReport?, image: URL, mask: URL, reference: URL?,
    limits: VolumeLimits, team: ThreadTeam
) throws -> String {
    let slices = try outlinedSlices(
        ReportPage.pictures, of: image, mask: mask, reference: reference, limits: limits, team: team
    ).map { ReportPage.Slice(number: $0.fileNumber, lesion: $0.lesion, png: try $0.picture.png()) }
    let origin = ReportPage.Origin(title: "Scan \(name)", findings: report.findings, dicom: dicom)
    return ReportPage(report: report, origin: origin, slices: slices, hasReference: reference != nil).html
}

extension Report {
    /// Whether this version of Hepar made it with the files of a segmenter.
    public func isMade(by segmenter: Segmenter) -> Bool {
        heparVersion == Hepar.version && model.liver == segmenter.liverModel && model.lesion == segmenter.lesionModel
    }
}

extension DicomReport {
    /// What a viewer calls a slice of the written volume, counted from 0 along its axial axis; nil where the file does not
    /// tell, and where the slices are of another plane: then the axial axis is not theirs.
    public func instanceNumber(ofAxial slice: Int) -> Int? {
        axialNames.flatMap { $0.instanceNumbers[at: slice] ?? nil }
    }

    /// SliceLocation in mm, in the same way.
    func location(ofAxial slice: Int) -> Double? { axialNames.flatMap { $0.locationsMm[at: slice] ?? nil } }

    /// Whether any axial slice has a name.
    var namesAxialSlices: Bool { axialNames != nil }

    private var axialNames: SliceNames? { volumes.first(where: \.taken)?.plane == .axial ? slices : nil }
}

extension Array {
    fileprivate subscript(at index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
