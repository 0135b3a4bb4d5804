import Compute
import Dicom
import Foundation
import Imaging
import TestSupport

/// A finished import: its report and the volume read again from the file.
struct ImportRun {
    let report: DicomReport
    let scan: CTScan
    /// The NIfTI file's bytes.
    let bytes: Data

    /// The one volume that was taken.
    var taken: DicomReport.Volume? { report.volumes.first(where: \.taken) }

    func finding(_ code: String) -> Int? { report.findings.first { $0.code == code }?.count }

    func leftOut(_ reason: LeftOutReason) -> Int? { report.leftOut.first { $0.reason == reason }?.files }

    /// HU at a voxel on canonical axes.
    func hu(_ x: Int, _ y: Int, _ z: Int) -> Float { scan.volume[x, y, z] }

    init(_ files: [URL], in folder: URL, options: DicomOptions = DicomOptions()) throws {
        let team = ThreadTeam(threads: 1)
        let output = folder.appending(path: "out-\(UUID().uuidString).nii")
        report = try importDicom(files, work: folder, output: output, options: options, team: team)
        scan = try readCT(at: output, team: team)
        bytes = try Data(contentsOf: output)
    }

    /// Imports slices written to a folder of their own.
    static func of(
        _ slices: [SyntheticSlice], with others: [String: [UInt8]] = [:], options: DicomOptions = DicomOptions()
    ) throws -> ImportRun {
        try withTemporaryFolder { folder in
            var files = try write(slices, to: folder)
            for (name, bytes) in others {
                files.append(folder.appending(path: name))
                try Data(bytes).write(to: files[files.count - 1])
            }
            return try ImportRun(files, in: folder, options: options)
        }
    }
}
