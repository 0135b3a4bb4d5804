import Compute
import Dicom
import Foundation
import Imaging
import TestSupport
import Testing

/// Real series; each is skipped where the shared folder is absent.
@Suite struct RealDataTests {
    private static let portal = SharedData.file("data/dicom/hcc015_portal.zip")
    private static let jpeg2000 = SharedData.file("data/dicom/ts_jpeg2000.zip")
    private static let liver = SharedData.file("data/dicom/ts_jpeg2000_liver.nii.gz")

    /// SimpleITK 2.5 and dcm2niix 1.0.20220720 read the same numbers from these files.
    @Test(.enabled(if: portal != nil, "the shared folder has no data/dicom/hcc015_portal.zip"))
    func uncompressed() throws {
        try withTemporaryFolder { folder in
            let run = try ImportRun([#require(Self.portal)], in: folder)
            #expect(run.scan.header.storedShape == Shape(512, 512, 61))
            #expect(run.taken?.seriesNumber == 4 && run.report.volumes.count == 1 && run.report.findings.isEmpty)
            #expect(run.scan.volume.voxels.min() == -1024 && run.scan.volume.voxels.max() == 1968)
            #expect(run.scan.volume.voxels.reduce(0) { $0 + Int($1) } == -7_346_959_359)
        }
    }

    @Test(.enabled(if: jpeg2000 != nil && liver != nil, "the shared folder has no data/dicom/ts_jpeg2000.zip"))
    func jpeg2000OnTheGridOfItsMask() throws {
        try withTemporaryFolder { folder in
            let run = try ImportRun([#require(Self.jpeg2000)], in: folder)
            #expect(run.taken?.transferSyntax == .jpeg2000Lossless && run.taken?.phase == .portalVenous)
            #expect(run.scan.volume.voxels.max() == 1839)
            #expect(run.scan.volume.voxels.reduce(0) { $0 + Int($1) } == -3_272_217_339)
            let mask = try inspectMask(at: #require(Self.liver))
            #expect(mask.header.gridDifference(from: run.scan.header) == nil)
        }
    }
}
