import Compute
import Foundation
import Imaging
import Phantom
import TestSupport
import Testing

@testable import Preview

/// One slice as a picture, drawn from files.
@Suite struct OutlinedSliceTests {
    let team = ThreadTeam(threads: 2)
    private let options = PhantomOptions(seed: 5, shape: Shape(80, 64, 20), spacing: SIMD3(2.5, 3, 5), lesions: 3)

    /// Writes CT and mask on the axes given.
    private func write(_ phantom: Phantom, axes: String, to folder: URL) throws -> (ct: URL, mask: URL) {
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        let (ct, mask) = (folder.appending(path: "ct.nii.gz"), folder.appending(path: "mask.nii.gz"))
        try writeCT(phantom.ct, header: header, to: ct, team: team)
        try writeLabels(phantom.reference, like: header, to: mask, team: team)
        return (ct, mask)
    }

    private func plane(_ ct: Volume<Int16>, _ z: Int) -> Volume<Float> {
        let size = ct.shape.x * ct.shape.y
        return Volume(
            shape: Shape(ct.shape.x, ct.shape.y, 1), spacing: ct.spacing,
            voxels: ct.voxels[z * size..<(z + 1) * size].map { Float($0) })
    }

    /// In every order of the axes the picture is the same: what is drawn from the arrays.
    @Test(arguments: ["LPS", "RAS", "LPI", "RAI", "PSL", "SRA", "AIL", "ILP"])
    func thePictureDoesNotDependOnTheAxes(axes: String) throws {
        let phantom = makePhantom(options, team: team)
        let labels = phantom.reference
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: axes, to: folder)
            let slice = try #require(try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team).first)

            let counts = (0..<20).map { z in (0..<64 * 80).count { labels.voxels[z * 5120 + $0] == Label.lesion } }
            let z = slice.number
            #expect(counts[z] > 0 && counts[z] == counts.max())
            #expect(slice.fileNumber == (axes.contains("I") ? 19 - z : z))
            let ct = plane(phantom.ct, z)
            let frame = Frame(aroundBodyIn: [ct], team: team)
            var expected = Picture(width: frame.width, height: frame.height)
            expected.draw(ct, labels: labels, number: z, frame: frame)
            expected.drawSidesAndScale(frame)
            DrawnLesions(of: labels, team: team).writeNumbers(on: &expected, slice: z, frame: frame)
            #expect(slice.picture == expected)
        }
    }

    /// Each pixel against the plain rules: the label of the nearest voxel, an outline two pixels wide inside it, greys between
    /// voxel centres, a reference's outline dashed below.
    @Test func everyPixelIsWhereItBelongs() {
        let phantom = makePhantom(options, team: team)
        let (labels, z) = (phantom.reference, keySlice(of: phantom.reference))
        let ct = plane(phantom.ct, z)
        var reference = labels
        for index in reference.voxels.indices { reference.voxels[index] = index % 80 < 30 ? labels.voxels[index] : 0 }
        let frame = Frame(from: SIMD2(20, 30), to: SIMD2(170, 150), longest: 300)
        #expect(frame.width == 300 && frame.height == 240 && frame.pixel == 0.5)
        var picture = Picture(width: 300, height: 240)
        picture.draw(ct, labels: labels, number: z, reference: reference, frame: frame)

        func label(_ map: Volume<UInt8>, _ column: Int, _ row: Int) -> UInt8 {
            let (x, y) = ((20.25 + Double(column) / 2) / 2.5, (30.25 + Double(row) / 2) / 3)
            return map[Int(x.rounded()), Int(y.rounded()), z]
        }
        func edge(_ map: Volume<UInt8>, _ column: Int, _ row: Int) -> UInt8? {
            let own = label(map, column, row)
            for y in max(0, row - 2)...min(239, row + 2) {
                for x in max(0, column - 2)...min(299, column + 2) {
                    let other = label(map, x, y)
                    if own == 2 && other != 2 || own == 1 && other == 0 { return own }
                }
            }
            return nil
        }
        var seen: Set<String> = []
        for row in 0..<240 {
            for column in 0..<300 {
                let pixel = Array(picture.rgb[(row * 300 + column) * 3..<(row * 300 + column) * 3 + 3])
                let (x, y) = ((20.25 + Double(column) / 2) / 2.5, (30.25 + Double(row) / 2) / 3)
                let (x0, y0, dx, dy) = (Int(x), Int(y), Float(x - x.rounded(.down)), Float(y - y.rounded(.down)))
                let upper = ct[x0, y0, 0] * (1 - dx) + ct[x0 + 1, y0, 0] * dx
                let lower = ct[x0, y0 + 1, 0] * (1 - dx) + ct[x0 + 1, y0 + 1, 0] * dx
                let hu: Float = upper * (1 - dy) + lower * dy
                let grey = Int(min(max((hu + 160) / 400, 0), 1) * 255)
                let own = edge(labels, column, row)
                if own == 2 {
                    #expect(pixel == [230, 159, 0], "row \(row), column \(column)")
                    seen.insert("lesion")
                } else if own == 1 {
                    #expect(pixel == [0, 158, 115], "row \(row), column \(column)")
                    seen.insert("liver")
                } else if edge(reference, column, row) != nil, (row + column) / 5 % 2 == 0 {
                    #expect(pixel == [86, 180, 233], "row \(row), column \(column)")
                    seen.insert("reference")
                } else {
                    #expect(pixel.allSatisfy { abs(Int($0) - grey) <= 1 }, "row \(row), column \(column)")
                }
            }
        }
        #expect(seen == ["lesion", "liver", "reference"])
    }

    /// A body of 100 x 60 mm beside a table: the table is left out, a margin of 5 mm is shown, centimetres are true.
    @Test func theFrameIsTheBodys() {
        var slice = Volume<Float>(shape: Shape(200, 120, 1), spacing: SIMD3(1, 1, 5), filledWith: -1000)
        for y in 20..<80 { for x in 40..<140 { slice[x, y, 0] = 40 } }
        for x in 0..<200 { slice[x, 100, 0] = 300 }
        let frame = Frame(aroundBodyIn: [slice], team: team)
        #expect(frame.corner == SIMD2(34.5, 14.5))
        // Windowed at -40 HU it is the same.
        let windowed = Volume(shape: slice.shape, spacing: slice.spacing, voxels: slice.voxels.map { max($0, -40) })
        #expect(Frame(aroundBodyIn: [windowed], team: team) == frame)
        #expect(abs(frame.pixel - 110.0 / 640) < 1e-12 && frame.width == 640 && frame.height == 407)

        let labels = Volume<UInt8>(shape: slice.shape, spacing: slice.spacing, filledWith: 0)
        var picture = Picture(width: frame.width, height: frame.height)
        picture.draw(slice, labels: labels, number: 0, frame: frame)
        let before = picture
        picture.drawSidesAndScale(frame)
        // The longest of 1, 2, 5 and 10 cm that takes a third of 110 mm is 2 cm: 116 pixels, in the lowest rows.
        func white(_ row: Int) -> [Int] {
            (0..<640).filter { column in
                let pixel = picture.rgb[(row * 640 + column) * 3..<(row * 640 + column) * 3 + 3]
                return pixel.allSatisfy { $0 == 255 }
            }
        }
        let bar = white(395)
        let length = (bar.last ?? 0) - (bar.first ?? 0) + 1
        #expect(abs(length - 118) <= 1 && bar.count > 110, "\(length) pixels, \(bar.count) of them white")
        // R at the left and L at the right, and nothing in between but the body.
        let middle = frame.height / 2 * 640 * 3
        let changed = (0..<640).filter { picture.rgb[middle + $0 * 3] != before.rgb[middle + $0 * 3] }
        #expect(changed.contains { $0 < 30 } && changed.contains { $0 > 610 })
        #expect(changed.allSatisfy { $0 < 40 || $0 > 600 })

        let air = Volume<Float>(shape: Shape(20, 10, 1), spacing: SIMD3(1, 1, 5), filledWith: -1000)
        #expect(Frame(aroundBodyIn: [air], team: team).corner == SIMD2(-0.5, -0.5))
    }

    /// The report's pictures: an overview with the key slice, and then the lesions, largest first, each at its own slice.
    @Test func theReportShowsTheKeySliceAndEachLesion() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: "LPI", to: folder)
            let key = try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team)[0]
            let shown = try outlinedSlices(
                .report(slices: 4, lesions: 2), of: files.ct, mask: files.mask, reference: files.mask, team: team)
            let numbers = shown.filter { $0.lesion == nil }.map(\.number)
            #expect(numbers.count == 4 && numbers == Set(numbers).sorted() && numbers.contains(key.number))
            #expect(shown.map(\.lesion) == [nil, nil, nil, nil, 1, 2])
            let lesions = DrawnLesions(of: phantom.reference, team: team).diameters(count: 2)
            for (picture, lesion) in zip(shown.suffix(2), lesions) {
                #expect(picture.number == lesion.slice && picture.fileNumber == 19 - lesion.slice)
                #expect(picture.picture.width == 360 && picture.picture.height == 360)
                // The diameter is drawn: at its middle the picture is white.
                let frame = Frame(aroundDiameter: lesion.ends)
                let middle = frame.position(of: (lesion.ends[0] + lesion.ends[1]) / 2)
                let index = (Int(middle.y.rounded()) * 360 + Int(middle.x.rounded())) * 3
                #expect(Array(picture.picture.rgb[index..<index + 3]) == [255, 255, 255])
            }
        }
    }

    /// A row of ten voxels of 2 mm and a block of four: numbers by size, the diameter where it is.
    @Test func lesionsAreNumberedBySize() throws {
        var labels = Volume<UInt8>(shape: Shape(30, 30, 6), spacing: SIMD3(2, 2, 4), filledWith: 0)
        for (x, y) in [(3, 3), (4, 3), (3, 4), (4, 4)] { labels[x, y, 1] = Label.lesion }
        for x in 12..<22 { labels[x, 20, 4] = Label.lesion }
        let found = DrawnLesions(of: labels, team: team).diameters(count: 12)
        #expect(found.map(\.number) == [1, 2] && found.map(\.slice) == [4, 1])
        #expect(found[0].millimetres == 20)
        #expect(found[0].ends.map(\.x).sorted() == [23, 43] && found[0].ends.allSatisfy { $0.y == 40 })
        #expect(DrawnLesions(of: labels, team: team).diameters(count: 1).count == 1)
    }

    @Test func theKeySlice() {
        var labels = Volume<UInt8>(shape: Shape(3, 3, 7), spacing: SIMD3(1, 1, 1), filledWith: 0)
        #expect(keySlice(of: labels) == 3)
        (labels[0, 0, 1], labels[1, 0, 1], labels[0, 0, 5]) = (1, 1, 1)
        #expect(keySlice(of: labels) == 1)
        labels[2, 2, 6] = 2
        #expect(keySlice(of: labels) == 6)
    }

    @Test func whatCannotBeDrawnIsTold() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: "LPS", to: folder)
            for number in [-1, 20] {
                #expect(throws: NoSuchSlice(number: number, slices: 20)) {
                    _ = try outlinedSlices(.number(number), of: files.ct, mask: files.mask, team: team)
                }
            }
            let other = try phantomAffine(shape: options.shape, spacing: SIMD3(2.5, 3, 4), axes: "LPS")
            let header = NIfTIHeader(shape: other.storedShape, affine: other.affine, voxelType: .uint8)
            try writeLabels(phantom.reference, like: header, to: files.mask, team: team)
            #expect(throws: VolumeError.self) {
                _ = try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team)
            }
        }
    }
}
