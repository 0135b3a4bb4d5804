import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct ReadingTests {
    @Test(arguments: [VoxelType.float32, .float64]) func voxelsThatAreNotFiniteAreAir(type: VoxelType) throws {
        var file = NIfTIBuilder()
        file.type = type
        file.values = (0..<24).map(Double.init)
        file.values[3...5] = [.nan, .infinity, -.infinity]
        if type == .float64 { file.values[6] = 1e300 }
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let scan = try readCT(at: url, team: .one)
            #expect(Array(scan.volume.voxels[2..<8]) == [2, -1024, -1024, -1024, type == .float64 ? -1024 : 6, 7])
            let summary = try inspectScan(at: url)
            #expect(summary.nonFinite == (type == .float64 ? 4 : 3))
            #expect((summary.minimum, summary.maximum) == (0, 23))
        }
    }

    /// Found by the fuzzer: the highest value was told as 2.3e39 HU, of which no voxel that is read has anything.
    @Test func wholeNumbersThatASlopeLiftsBeyondSinglePrecisionAreAir() throws {
        var file = NIfTIBuilder()
        file.slope = 1e38
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let voxels = try readCT(at: url, team: .one).volume.voxels
            #expect(voxels[4...].allSatisfy { $0 == -1024 } && voxels[..<4].allSatisfy { $0 >= 0 })
            let summary = try inspectScan(at: url)
            #expect(summary.nonFinite == 20)
            #expect(Float(summary.maximum) == voxels.max())
        }
    }

    @Test func theContentDecidesNotTheName() throws {
        let expected = (0..<24).map(Float.init)
        try withTemporaryFolder { folder in
            for name in ["a.nii", "a.NII", "a.nii.gz", "a.Nii.Gz", "upload", "a.img", "a.hdr", "a b.dcm"] {
                for compressed in [false, true] {
                    let url = try NIfTIBuilder().write(to: folder, as: name, compressed: compressed)
                    #expect(try readCT(at: url, team: .one).volume.voxels == expected, "\(name) \(compressed)")
                    #expect(try inspectScan(at: url).maximum == 23)
                }
            }
        }
    }

    @Test func extensionsArePassedOver() throws {
        var file = NIfTIBuilder()
        // Two real ones and one that claims to be larger than the file.
        func chunk(_ size: Int32) -> [UInt8] {
            withUnsafeBytes(of: size.littleEndian) { Array($0) } + [6, 0, 0, 0] + Array(repeating: 65, count: 24)
        }
        file.extender = [1, 0, 0, 0] + chunk(32) + chunk(32) + chunk(.max)
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder, as: "scan.nii.gz")
            #expect(try readCT(at: url, team: .one).volume.voxels == (0..<24).map(Float.init))
            #expect(try inspectScan(at: url).header.voxelOffset == 348 + 100)
        }
    }

    @Test func gzipInSeveralMembers() throws {
        try withTemporaryFolder { folder in
            let bytes = NIfTIBuilder().file
            var joined = Data()
            for part in [bytes[..<100], bytes[100..<360], bytes[360...]] {
                joined += try Data(contentsOf: save(Array(part), to: folder, as: "part.gz", compressed: true))
            }
            let url = folder.appending(path: "joined.nii.gz")
            try joined.write(to: url)
            #expect(try readCT(at: url, team: .one).volume.voxels == (0..<24).map(Float.init))
            #expect(try inspectScan(at: url).maximum == 23)
        }
    }

    @Test func slabsJoinWithoutSeams() throws {
        // 24 MB of voxels: three slabs, of which the last is not full; axes permuted so that slabs are columns.
        let order = AxesOrder(canonical: [2, 1, 0], against: [false, true, true])
        let file = order.file(shape: [50, 350, 352], spacing: [1, 1, 1], type: .int32) { x, y, z in
            Double(x + 50 * (y + 350 * z))
        }
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            for threads in [1, 3] {
                let scan = try readCT(at: url, team: ThreadTeam(threads: threads))
                #expect(scan.volume.voxels.indices.allSatisfy { scan.volume.voxels[$0] == Float($0) })
            }
        }
    }

    @Test func labelsOfAnyType() throws {
        let labels = (0..<24).map { Double($0 % 3) }
        try withTemporaryFolder { folder in
            for type in VoxelType.allCases {
                var file = NIfTIBuilder()
                file.type = type
                file.values = labels
                let url = try file.write(to: folder, as: "mask.nii.gz")
                #expect(try readLabels(at: url, team: .one).volume.voxels == labels.map { UInt8($0) })
                #expect(try inspectMask(at: url).maximum == 2)
            }
            // 2 as 255 times a slope that is not exact in single precision.
            var scaled = NIfTIBuilder()
            (scaled.type, scaled.slope) = (.uint8, 2.0 / 255)
            scaled.values = (0..<24).map { $0 % 2 == 0 ? 0 : 255 }
            let url = try scaled.write(to: folder)
            #expect(try readLabels(at: url, team: .one).volume.voxels == (0..<24).map { $0 % 2 == 0 ? 0 : 2 })
        }
    }

    /// Masks to learn from may leave places open.
    @Test func unknownIsALabelWhereItIsAllowed() throws {
        var file = NIfTIBuilder()
        file.type = .uint8
        file.values = (0..<24).map { [0, 1, 2, 255][$0 % 4] }
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let labels = try readLabels(at: url, allowsUnknown: true, team: .one).volume.voxels
            #expect(Set(labels) == [0, 1, 2, Label.unknown])
            #expect(
                failure { () throws(VolumeError) in _ = try readLabels(at: url, team: .one) }?.code == "not_a_label")
        }
    }

    @Test(arguments: [3.0, -1, 0.5, 1.01, .nan, .infinity, 255]) func valuesThatAreNoLabels(value: Double) throws {
        var file = NIfTIBuilder()
        file.type = .float32
        file.values = .init(repeating: 1, count: 24)
        file.values[17] = value
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let read = failure { () throws(VolumeError) in _ = try readLabels(at: url, team: .one) }
            let inspected = failure { () throws(VolumeError) in _ = try inspectMask(at: url) }
            #expect(read?.code == "not_a_label")
            #expect("\(read.map(\.description) ?? "")".contains("value \(plain(Double(Float(value))))"))
            #expect(read?.description == inspected?.description)
        }
    }

    @Test func anEmptyMaskIsAMask() throws {
        var file = NIfTIBuilder()
        file.values = .init(repeating: 0, count: 24)
        let summary = try withTemporaryFolder { try inspectMask(at: file.write(to: $0)) }
        #expect((summary.minimum, summary.maximum) == (0, 0))
    }
}

/// Real files; skipped where ../shared is absent, since they are not part of the repository.
@Suite(.enabled(if: SharedData.file("data/small/example_ct_sm.nii.gz") != nil)) struct SharedFileTests {
    @Test func aRealScanAndItsMask() throws {
        let team = ThreadTeam(threads: 2)
        let url = try #require(SharedData.file("data/small/example_ct_sm.nii.gz"))
        let maskURL = try #require(SharedData.file("data/small/example_ct_sm_liver.nii.gz"))
        let scan = try readCT(at: url, team: team)
        let mask = try readLabels(at: maskURL, team: team)
        #expect(scan.volume.shape == Shape(122, 101, 30))
        #expect(scan.header.axes.orientation == "RAS")
        #expect(mask.header.gridDifference(from: scan.header) == nil)
        #expect(try inspectScan(at: url).header == scan.header)
        #expect(try inspectMask(at: maskURL).maximum == 1)

        // The liver's mean is soft tissue, and the liver is on the patient's right: at small canonical x.
        var (sum, count, left) = (0.0, 0, 0)
        for (index, label) in mask.volume.voxels.enumerated() where label > 0 {
            sum += Double(scan.volume.voxels[index])
            count += 1
            if index % 122 > 61 { left += 1 }
        }
        #expect((20.0...200).contains(sum / Double(count)))
        #expect(left * 3 < count)
    }
}
