import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct HeaderTests {
    @Test(arguments: VoxelType.allCases, [(1, false), (1, true), (2, false), (2, true)])
    func everyTypeOrderAndVersion(type: VoxelType, form: (version: Int, isBigEndian: Bool)) throws {
        var file = NIfTIBuilder()
        (file.version, file.isBigEndian, file.type) = (form.version, form.isBigEndian, type)
        (file.slope, file.intercept) = (0.5, -100)
        file.values = (0..<24).map { Double($0 * 5) }
        let team = ThreadTeam(threads: 1)
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder, as: "scan.nii.gz")
            let scan = try readCT(at: url, team: team)
            #expect(scan.header.version == form.version)
            #expect(scan.header.voxelType == type)
            #expect(scan.volume.voxels == (0..<24).map { Float($0) * 2.5 - 100 })
            let summary = try inspectScan(at: url)
            #expect(summary.header == scan.header)
            #expect(summary.minimum == -100)
            #expect(summary.maximum == 23 * 2.5 - 100)
            #expect(summary.inflatedBytes == file.file.count)
        }
    }

    @Test func negativeSlopeTurnsTheRange() throws {
        var file = NIfTIBuilder()
        (file.slope, file.intercept) = (-2, 10)
        let summary = try withTemporaryFolder { try inspectScan(at: file.write(to: $0)) }
        #expect(summary.minimum == -36)
        #expect(summary.maximum == 10)
    }

    /// nibabel 5.4 and libnifti read these numbers so: neither slope nor intercept is applied.
    @Test(
        arguments: [(0.0, -7.0), (0, .nan), (.nan, -7), (2, .nan), (.nan, .nan), (0, .infinity), (-0.0, 3)], [1, 2])
    func noScaling(scaling: (slope: Double, intercept: Double), version: Int) throws {
        var file = NIfTIBuilder()
        (file.slope, file.intercept, file.version) = (scaling.slope, scaling.intercept, version)
        let team = ThreadTeam(threads: 1)
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let scan = try readCT(at: url, team: team)
            #expect((scan.header.slope, scan.header.intercept) == (1, 0))
            #expect(scan.volume.voxels == (0..<24).map { Float($0) })
            let summary = try inspectScan(at: url)
            #expect((summary.minimum, summary.maximum) == (0, 23))
            // A mask, and one made like this file.
            file.values = (0..<24).map { Double($0 % 3) }
            let mask = try readLabels(at: file.write(to: folder, as: "mask.nii"), team: team)
            #expect(mask.volume.voxels == (0..<24).map { UInt8($0 % 3) })
            #expect(try inspectMask(at: folder.appending(path: "mask.nii")).maximum == 2)
            let output = folder.appending(path: "out.nii.gz")
            try writeLabels(mask.volume, like: scan.header, to: output, team: team)
            #expect(try readLabels(at: output, team: team).volume.voxels == mask.volume.voxels)
        }
    }

    /// A pixdim that is not used is no reason to refuse; it is told.
    @Test(arguments: [-0.7, 0, .nan, .infinity, 21])
    func pixdimBesideASoundSform(value: Double) throws {
        var file = NIfTIBuilder()
        file.pixdim[2] = value
        let team = ThreadTeam(threads: 1)
        try withTemporaryFolder { folder in
            let url = try file.write(to: folder)
            let scan = try readCT(at: url, team: team)
            #expect(scan.header.spacing.y == Double(Float(0.7)))
            #expect(try inspectScan(at: url).findings.contains { $0.code == "spacings_disagree" })
            let output = folder.appending(path: "out.nii")
            let labels = Volume(shape: scan.volume.shape, spacing: scan.volume.spacing, filledWith: UInt8(1))
            try writeLabels(labels, like: scan.header, to: output, team: team)
            #expect(try readLabels(at: output, team: team).header.storedAffine == scan.header.storedAffine)
        }
    }

    /// A voxel's volume is the determinant of the map: cos(20 degrees) of the box with the same edges.
    @Test(arguments: [0.0, 10, 20, 30])
    func volumesOfASlantedGrid(degrees: Double) throws {
        let angle = degrees * .pi / 180
        var file = NIfTIBuilder()
        file.srows = [[-0.8, 0, 0, 10], [0, -0.7, 2.5 * sin(angle), 20], [0, 0, 2.5 * cos(angle), -30]]
        let scan = try withTemporaryFolder { try readCT(at: file.write(to: $0), team: ThreadTeam(threads: 1)) }
        let expected = 0.8 * 0.7 * 2.5 * cos(angle) / 1000
        #expect(abs(scan.volume.voxelMillilitres - expected) < 1e-6 * expected)
        #expect(abs(scan.volume.spacing.z - 2.5) < 1e-6)
    }

    @Test func sformGoesBeforeQformBeforeSpacing() throws {
        var file = NIfTIBuilder()
        file.qformCode = 1
        file.quaternion = [0, 0, 0, 1, 2, 3]
        #expect(try NIfTIHeader(parsing: file.header).axes.orientation == "LPS")
        file.sformCode = 0
        let qform = try NIfTIHeader(parsing: file.header)
        #expect(qform.axes.orientation == "RAS")
        #expect(qform.storedAffine.origin == SIMD3(1, 2, 3))
        file.pixdim[0] = -1
        #expect(try NIfTIHeader(parsing: file.header).axes.orientation == "RAI")
        file.qformCode = 0
        let method1 = try NIfTIHeader(parsing: file.header)
        #expect(method1.axes.orientation == "RAS")
        #expect(method1.storedAffine.origin == .zero)
        #expect(method1.storedAffine.spacing == SIMD3(Double(Float(0.8)), Double(Float(0.7)), 2.5))
    }

    @Test func numbersThatAreNotUsedAreNotJudged() throws {
        var file = NIfTIBuilder()
        file.quaternion = [.nan, .infinity, 3, 0, 0, 0]
        file.dim = [4, 4, 3, 2, 1, -5, 9, 0]
        _ = try NIfTIHeader(parsing: file.header)
    }

    @Test(arguments: [1, 2]) func aNewHeaderIsReadBackAsGiven(version: Int) throws {
        var random = SplitMix64(seed: 11)
        for _ in 0..<40 {
            let matrix = randomRotation(&random)
            let handed = random.unit() < 0.5 ? 1.0 : -1
            let affine = Affine(
                x: matrix[0] * 0.75, y: matrix[1] * 0.5, z: matrix[2] * 2.5 * handed,
                origin: SIMD3(random.uniform(-300...300), random.uniform(-300...300), random.uniform(-300...300)))
            let header = NIfTIHeader(
                shape: Shape(6, 5, 4), affine: affine, voxelType: .int16, slope: 2, intercept: -3, version: version)
            #expect(
                (header.version, header.storedShape, header.slope, header.intercept) == (version, Shape(6, 5, 4), 2, -3)
            )
            #expect(farthest(header.storedAffine, affine) < 1e-4)
            // Without the sform, the qform says the same.
            var fields = try HeaderFields(recognising: header.bytes)
            fields.set(code: 0, at: fields.layout.sformCode)
            #expect(farthest(try NIfTIHeader(parsing: fields.bytes).storedAffine, affine) < 1e-4)
            // And libnifti agrees about both.
            #expect(NIfTIImage(header: header)?.difference(from: header) == nil)
            let qform = try NIfTIHeader(parsing: fields.bytes)
            #expect(NIfTIImage(header: qform)?.difference(from: qform) == nil)
        }
    }

    @Test func aSlantedGridHasNoQform() throws {
        let slanted = Affine(x: SIMD3(1, 0, 0), y: SIMD3(0, 1, 0), z: SIMD3(0, 0.5, 2), origin: .zero)
        let header = NIfTIHeader(shape: Shape(2, 2, 2), affine: slanted, voxelType: .uint8)
        #expect(header.bytes[252] == 0)
        #expect(header.bytes[254] == 1)
        #expect(header.storedAffine == slanted)
    }

    @Test func gridsAreComparedWithinAThousandthOfAMillimetre() throws {
        let builder = NIfTIBuilder()
        let image = try NIfTIHeader(parsing: builder.header)
        #expect(image.gridDifference(from: image) == nil)

        var near = builder
        near.srows[0][3] += 0.0009
        #expect(try NIfTIHeader(parsing: near.header).gridDifference(from: image) == nil)

        var moved = builder
        moved.srows[0][3] += 0.5
        #expect(
            try NIfTIHeader(parsing: moved.header).gridDifference(from: image)
                == "origin (10.5, 20, -30) against (10, 20, -30) mm")

        var longer = builder
        longer.dim[3] = 5
        #expect(
            try NIfTIHeader(parsing: longer.header).gridDifference(from: image)
                == "shape 4 x 3 x 5 against 4 x 3 x 2 voxels")

        var coarse = builder
        coarse.srows[2][2] = 3
        coarse.pixdim[3] = 3
        #expect(
            try NIfTIHeader(parsing: coarse.header).gridDifference(from: image)
                == "spacing 0.8 x 0.7 x 3 against 0.8 x 0.7 x 2.5 mm")

        var turned = builder
        turned.srows[0] = [-0.64, 0.42, 0, 10]
        turned.srows[1] = [-0.48, -0.56, 0, 20]
        #expect(
            try NIfTIHeader(parsing: turned.header).gridDifference(from: image)
                == "axis x along (-0.8, -0.6, 0) against (-1, 0, 0); axis y along (0.6, -0.8, 0) against (0, -1, 0)")
    }

    @Test func oneGridInTwoAxesOrdersIsOneGrid() throws {
        let headers = try AxesOrder.all.map { order in
            try NIfTIHeader(
                parsing: order.file(shape: [5, 4, 3], spacing: [0.8, 0.7, 2.5], type: .int16) { _, _, _ in 0 }.header)
        }
        for header in headers { #expect(header.gridDifference(from: headers[0]) == nil) }
    }
}

/// Three unit vectors at right angles.
private func randomRotation(_ random: inout SplitMix64) -> [SIMD3<Double>] {
    func vector() -> SIMD3<Double> { SIMD3(random.normal(), random.normal(), random.normal()) }
    var x = vector()
    x /= length(x)
    var y = cross(x, vector())
    y /= length(y)
    return [x, y, cross(x, y)]
}

private func farthest(_ a: Affine, _ b: Affine) -> Double {
    max(length(a.x - b.x), length(a.y - b.y), length(a.z - b.z), length(a.origin - b.origin))
}
