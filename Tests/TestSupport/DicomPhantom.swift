public import Foundation
public import Imaging

/// A CT as DICOM files, one a slice, from the feet: written byte by byte, with what a viewer calls the slices.
public struct DicomPhantom {
    /// The StudyInstanceUID of all slices.
    public static let study = "1.2.3"

    /// InstanceNumber of each slice, from the feet.
    public let instanceNumbers: [Int]

    /// Writes `IM0` and on to a folder that is made: 16-bit values above -1024 HU, in explicit little-endian form.
    public init(_ ct: Volume<Int16>, in folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        instanceNumbers = (0..<ct.shape.z).map { 200 - $0 }
        let plane = ct.shape.x * ct.shape.y
        for z in 0..<ct.shape.z {
            let pixels = ct.voxels[z * plane..<(z + 1) * plane].flatMap { value -> [UInt8] in
                let stored = UInt16(clamping: Int(value) + 1024)
                return [UInt8(stored & 255), UInt8(stored >> 8)]
            }
            let file = Self.file(z, number: instanceNumbers[z], ct: ct, pixels: pixels)
            try Data(file).write(to: folder.appending(path: "IM\(z)"))
        }
    }

    private static func file(_ z: Int, number: Int, ct: Volume<Int16>, pixels: [UInt8]) -> [UInt8] {
        let instance = "1.2.3.4.\(z + 1)", image = "1.2.840.10008.5.1.4.1.1.2"
        let meta =
            text(0x0002, 0x0002, "UI", image) + text(0x0002, 0x0003, "UI", instance)
            + text(0x0002, 0x0010, "UI", "1.2.840.10008.1.2.1")
        var body: [UInt8] = []
        body += text(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL") + text(0x0008, 0x0016, "UI", image)
        body += text(0x0008, 0x0018, "UI", instance) + text(0x0008, 0x0060, "CS", "CT")
        body += text(0x0020, 0x000D, "UI", study) + text(0x0020, 0x000E, "UI", "1.2.3.4")
        body += text(0x0020, 0x0011, "IS", "2") + text(0x0020, 0x0013, "IS", "\(number)")
        body += text(0x0020, 0x0032, "DS", "0\\0\\\(Double(z) * ct.spacing.z)")
        body += text(0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0") + text(0x0020, 0x0052, "UI", "1.2.3.9")
        body += text(0x0020, 0x1041, "DS", "\(Double(z) * ct.spacing.z - 300)")
        body += word(0x0028, 0x0002, 1) + text(0x0028, 0x0004, "CS", "MONOCHROME2")
        body += word(0x0028, 0x0010, ct.shape.y) + word(0x0028, 0x0011, ct.shape.x)
        body += text(0x0028, 0x0030, "DS", "\(ct.spacing.y)\\\(ct.spacing.x)")
        body += word(0x0028, 0x0100, 16) + word(0x0028, 0x0101, 16) + word(0x0028, 0x0102, 15) + word(0x0028, 0x0103, 0)
        body += text(0x0028, 0x1052, "DS", "-1024") + text(0x0028, 0x1053, "DS", "1")
        body += tag(0x7FE0, 0x0010) + Array("OW".utf8) + [0, 0] + little(pixels.count, 4) + pixels
        let length = tag(0x0002, 0x0000) + Array("UL".utf8) + little(4, 2) + little(meta.count, 4)
        return [UInt8](repeating: 0, count: 128) + Array("DICM".utf8) + length + meta + body
    }

    private static func little(_ value: Int, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    private static func tag(_ group: Int, _ element: Int) -> [UInt8] { little(group, 2) + little(element, 2) }

    private static func word(_ group: Int, _ element: Int, _ value: Int) -> [UInt8] {
        tag(group, element) + Array("US".utf8) + little(2, 2) + little(value, 2)
    }

    private static func text(_ group: Int, _ element: Int, _ type: String, _ value: String) -> [UInt8] {
        var bytes = Array(value.utf8)
        if bytes.count % 2 == 1 { bytes.append(type == "UI" ? 0 : 0x20) }
        return tag(group, element) + Array(type.utf8) + little(bytes.count, 2) + bytes
    }
}
