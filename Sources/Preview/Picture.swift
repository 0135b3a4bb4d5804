internal import CPNG
public import Foundation

/// An RGB picture, 8 bits a colour, rows from the top.
public struct Picture: Equatable, Sendable {
    /// Pixels across and down.
    public let width, height: Int
    /// Red, green and blue of each pixel, row after row.
    public var rgb: [UInt8]

    /// A picture of one grey.
    public init(width: Int, height: Int, grey: UInt8 = 0) {
        self.width = width
        self.height = height
        rgb = Array(repeating: grey, count: width * height * 3)
    }

    /// Sets one pixel.
    package mutating func set(_ x: Int, _ y: Int, to colour: (UInt8, UInt8, UInt8)) {
        let index = (y * width + x) * 3
        rgb[index] = colour.0
        rgb[index + 1] = colour.1
        rgb[index + 2] = colour.2
    }

    /// The picture as PNG, by libpng's simplified interface.
    ///
    /// - Throws: ``PictureError`` with libpng's message.
    public func png() throws(PictureError) -> Data {
        var image = png_image()
        image.version = png_uint_32(PNG_IMAGE_VERSION)
        image.width = png_uint_32(width)
        image.height = png_uint_32(height)
        image.format = png_uint_32(PNG_FORMAT_FLAG_COLOR)
        var size = rgb.count + height * 16 + 4096
        var bytes = [UInt8](repeating: 0, count: size)
        guard png_image_write_to_memory(&image, &bytes, &size, 0, rgb, 0, nil) != 0 else {
            let message = withUnsafeBytes(of: image.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            throw PictureError(message: message)
        }
        return Data(bytes.prefix(size))
    }

    /// Writes the picture as PNG.
    public func writePNG(to url: URL) throws {
        try png().write(to: url, options: .atomic)
    }
}

/// A picture that could not be written.
public struct PictureError: Error, CustomStringConvertible {
    let message: String

    /// libpng's message.
    public var description: String { "The picture could not be encoded: \(message)." }
}
