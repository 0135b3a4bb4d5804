import Dicom
import Foundation

/// One slice as a minimal DICOM file with explicit lengths; what a test changes are its properties.
struct SyntheticSlice {
    var syntax = "1.2.840.10008.1.2.1"
    /// What the meta header says, where that is not so.
    var claimedSyntax: String?
    var sopClass = "1.2.840.10008.5.1.4.1.1.2"
    var modality: String? = "CT"
    var patient = "SECRET^NAME"
    var study = "1.2.3"
    var frameOfReference = "1.2.3.9"
    var kernel: String?
    /// Other attributes, as text.
    var others: [(group: UInt16, element: UInt16, type: String, text: String)] = []
    /// What follows the data set.
    var trailer: [UInt8] = []
    var imageType = "ORIGINAL\\PRIMARY\\AXIAL"
    var description = "ABDOMEN"
    var series = "1.2.3.4"
    var instance = "1.2.3.4.1"
    var seriesNumber: Int? = 2
    var acquisition: Int? = 1
    var instanceNumber: Int? = 1
    var temporalPosition: Int?
    var acquisitionTime: String?
    var contentTime: String?
    var frames: Int?
    /// LPS millimetres of the first voxel.
    var position = SIMD3(-10.0, -20.0, 0.0)
    var directions: [Double] = [1, 0, 0, 0, 1, 0]
    var columns = 16
    var rows = 12
    var spacing = (row: 0.7, column: 0.8)
    /// Texts in the place of numbers.
    var texts: [NumberAttribute: String] = [:]
    /// How slope and intercept are typed.
    var scalingType = "DS"
    var slope = 1.0
    var intercept = -1024.0
    var padding: Int?
    var bitsStored = 16
    var isSigned = false
    /// Stored values, row after row.
    var pixels: [Int] = []

    /// Frames of an enhanced image, whose places and scaling are in functional groups; none for an ordinary slice.
    var enhancedFrames: [SyntheticSlice] = []

    /// The file's bytes.
    var bytes: [UInt8] {
        let isBig = syntax == "1.2.840.10008.1.2.2"
        var meta = DataSetWriter(isBigEndian: false, isImplicit: false)
        meta.add(0x0002, 0x0002, "UI", sopClass)
        meta.add(0x0002, 0x0003, "UI", instance)
        meta.add(0x0002, 0x0010, "UI", claimedSyntax ?? syntax)
        var head = DataSetWriter(isBigEndian: false, isImplicit: false)
        head.add(0x0002, 0x0000, "UL", words: [UInt32(meta.bytes.count)])
        return [UInt8](repeating: 0, count: 128) + Array("DICM".utf8) + head.bytes + meta.bytes + dataSet(isBig)
            + trailer
    }

    /// The bytes after the meta header.
    var dataSetBytes: [UInt8] { dataSet(syntax == "1.2.840.10008.1.2.2") }

    private func dataSet(_ isBig: Bool) -> [UInt8] {
        var set = DataSetWriter(isBigEndian: isBig, isImplicit: syntax == "1.2.840.10008.1.2")
        set.add(0x0008, 0x0008, "CS", imageType)
        set.add(0x0008, 0x0016, "UI", sopClass)
        set.add(0x0008, 0x0018, "UI", instance)
        if let acquisitionTime { set.add(0x0008, 0x0032, "TM", acquisitionTime) }
        if let contentTime { set.add(0x0008, 0x0033, "TM", contentTime) }
        if let modality { set.add(0x0008, 0x0060, "CS", modality) }
        set.add(0x0008, 0x103E, "LO", description)
        // A name, so that tests can look for it where it must not be.
        set.add(0x0010, 0x0010, "PN", patient)
        if let kernel { set.add(0x0018, 0x1210, "SH", kernel) }
        set.add(0x0020, 0x000D, "UI", study)
        set.add(0x0020, 0x000E, "UI", series)
        for (element, number) in [(0x0011, seriesNumber), (0x0012, acquisition), (0x0013, instanceNumber)] {
            if let number { set.add(0x0020, UInt16(element), "IS", "\(number)") }
        }
        if enhancedFrames.isEmpty {
            set.add(0x0020, 0x0032, "DS", texts[.position] ?? numbers([position.x, position.y, position.z]))
            set.add(0x0020, 0x0037, "DS", texts[.orientation] ?? numbers(directions))
        }
        set.add(0x0020, 0x0052, "UI", frameOfReference)
        if let temporalPosition { set.add(0x0020, 0x0100, "IS", "\(temporalPosition)") }
        set.add(0x0028, 0x0002, "US", shorts: [1])
        set.add(0x0028, 0x0004, "CS", "MONOCHROME2")
        let frames = enhancedFrames.isEmpty ? frames : enhancedFrames.count
        if let text = texts[.frames] ?? frames.map(String.init) { set.add(0x0028, 0x0008, "IS", text) }
        set.add(0x0028, 0x0010, "US", shorts: [UInt16(rows)])
        set.add(0x0028, 0x0011, "US", shorts: [UInt16(columns)])
        if enhancedFrames.isEmpty {
            set.add(0x0028, 0x0030, "DS", texts[.pixelSpacing] ?? numbers([spacing.row, spacing.column]))
        }
        set.add(0x0028, 0x0100, "US", shorts: [16])
        set.add(0x0028, 0x0101, "US", shorts: [UInt16(bitsStored)])
        set.add(0x0028, 0x0102, "US", shorts: [UInt16(bitsStored - 1)])
        set.add(0x0028, 0x0103, "US", shorts: [isSigned ? 1 : 0])
        if let padding {
            set.add(0x0028, 0x0120, isSigned ? "SS" : "US", shorts: [UInt16(truncatingIfNeeded: padding)])
        }
        if enhancedFrames.isEmpty {
            set.add(0x0028, 0x1052, scalingType, texts[.intercept] ?? "\(intercept)")
            set.add(0x0028, 0x1053, scalingType, texts[.slope] ?? "\(slope)")
        } else {
            addGroups(to: &set)
        }
        for other in others { set.add(other.group, other.element, other.type, other.text) }
        let all = enhancedFrames.isEmpty ? pixels : enhancedFrames.flatMap(\.pixels)
        set.add(0x7FE0, 0x0010, "OW", shorts: all.map { UInt16(truncatingIfNeeded: $0) })
        return set.bytes
    }

    /// Orientation and spacing for all frames, place and scaling for each.
    private func addGroups(to set: inout DataSetWriter) {
        let empty = DataSetWriter(isBigEndian: set.isBigEndian, isImplicit: set.isImplicit)
        var (shared, orientation, measures) = (empty, empty, empty)
        orientation.add(0x0020, 0x0037, "DS", numbers(directions))
        measures.add(0x0028, 0x0030, "DS", numbers([spacing.row, spacing.column]))
        shared.add(0x0020, 0x9116, items: [orientation])
        shared.add(0x0028, 0x9110, items: [measures])
        set.add(0x5200, 0x9229, items: [shared])
        let items = enhancedFrames.map { frame in
            var (item, position, scaling) = (empty, empty, empty)
            position.add(0x0020, 0x0032, "DS", numbers([frame.position.x, frame.position.y, frame.position.z]))
            scaling.add(0x0028, 0x1052, "DS", "\(frame.intercept)")
            scaling.add(0x0028, 0x1053, "DS", "\(frame.slope)")
            item.add(0x0020, 0x9113, items: [position])
            item.add(0x0028, 0x9145, items: [scaling])
            return item
        }
        set.add(0x5200, 0x9230, items: items)
    }

    private func numbers(_ values: [Double]) -> String {
        values.map { String(format: "%.6f", $0) }.joined(separator: "\\")
    }
}

/// Data elements in one of DICOM's three plain encodings.
private struct DataSetWriter {
    let isBigEndian: Bool
    let isImplicit: Bool
    var bytes: [UInt8] = []

    mutating func add(_ group: UInt16, _ element: UInt16, _ type: String, _ text: String) {
        var value = Array(text.utf8)
        if value.count % 2 == 1 { value.append(type == "UI" ? 0 : 0x20) }
        add(group, element, type, value)
    }

    mutating func add(_ group: UInt16, _ element: UInt16, _ type: String, shorts: [UInt16]) {
        add(group, element, type, shorts.flatMap(encoded))
    }

    mutating func add(_ group: UInt16, _ element: UInt16, _ type: String, words: [UInt32]) {
        add(group, element, type, words.flatMap(encoded))
    }

    /// A sequence.
    mutating func add(_ group: UInt16, _ element: UInt16, items: [DataSetWriter]) {
        let value = items.flatMap { item in
            encoded(UInt16(0xFFFE)) + encoded(UInt16(0xE000)) + encoded(UInt32(item.bytes.count)) + item.bytes
        }
        add(group, element, "SQ", value)
    }

    private mutating func add(_ group: UInt16, _ element: UInt16, _ type: String, _ value: [UInt8]) {
        bytes += encoded(group) + encoded(element)
        if isImplicit {
            bytes += encoded(UInt32(value.count))
        } else {
            bytes += Array(type.utf8)
            bytes +=
                ["OW", "SQ", "UN"].contains(type)
                ? [0, 0] + encoded(UInt32(value.count)) : encoded(UInt16(value.count))
        }
        bytes += value
    }

    private func encoded<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: isBigEndian ? value.bigEndian : value.littleEndian) { Array($0) }
    }
}

/// The stored value that every synthetic slice has at a voxel.
func storedValue(_ x: Int, _ y: Int, _ z: Int) -> Int { 1000 + 3 * x + 50 * y + 7 * z }

/// A whole series, 2.5 mm apart, first slice at the lowest place along `normal`.
func syntheticSeries(
    slices: Int = 12, step: SIMD3<Double> = SIMD3(0, 0, 2.5), template: SyntheticSlice = SyntheticSlice()
) -> [SyntheticSlice] {
    (0..<slices).map { z in
        var slice = template
        slice.instance = "\(template.series).\(template.acquisition ?? 0).\(z + 1)"
        slice.instanceNumber = z + 1
        slice.position += step * Double(z)
        slice.pixels = (0..<slice.rows).flatMap { y in (0..<slice.columns).map { x in storedValue(x, y, z) } }
        return slice
    }
}

/// Writes slices as files of a folder.
func write(_ slices: [SyntheticSlice], to folder: URL, prefix: String = "slice") throws -> [URL] {
    try slices.enumerated().map { index, slice in
        let url = folder.appending(path: "\(prefix)\(index)")
        try Data(slice.bytes).write(to: url)
        return url
    }
}
