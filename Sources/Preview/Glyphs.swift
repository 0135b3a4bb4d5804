/// Letters of five by seven pixels: what pictures say of sides, slices and lengths, and no more.
enum Glyphs {
    static let width = 5, height = 7

    private static let rows: [Character: [String]] = [
        "0": [" ### ", "#   #", "#  ##", "# # #", "##  #", "#   #", " ### "],
        "1": ["  #  ", " ##  ", "  #  ", "  #  ", "  #  ", "  #  ", " ### "],
        "2": [" ### ", "#   #", "    #", "   # ", "  #  ", " #   ", "#####"],
        "3": ["#####", "   # ", "  #  ", "   # ", "    #", "#   #", " ### "],
        "4": ["   # ", "  ## ", " # # ", "#  # ", "#####", "   # ", "   # "],
        "5": ["#####", "#    ", "#### ", "    #", "    #", "#   #", " ### "],
        "6": ["  ## ", " #   ", "#    ", "#### ", "#   #", "#   #", " ### "],
        "7": ["#####", "    #", "   # ", "  #  ", " #   ", " #   ", " #   "],
        "8": [" ### ", "#   #", "#   #", " ### ", "#   #", "#   #", " ### "],
        "9": [" ### ", "#   #", "#   #", " ####", "    #", "   # ", " ##  "],
        "L": ["#    ", "#    ", "#    ", "#    ", "#    ", "#    ", "#####"],
        "R": ["#### ", "#   #", "#   #", "#### ", "# #  ", "#  # ", "#   #"],
        "c": ["     ", "     ", " ### ", "#    ", "#    ", "#   #", " ### "],
        "m": ["     ", "     ", "## # ", "# # #", "# # #", "#   #", "#   #"],
        ".": ["     ", "     ", "     ", "     ", "     ", " ##  ", " ##  "],
        ":": ["     ", " ##  ", " ##  ", "     ", " ##  ", " ##  ", "     "],
    ]

    /// The pixels of a text that are set, from its left upper corner; a character without a glyph is a blank.
    static func pixels(of text: String) -> [(x: Int, y: Int)] {
        text.enumerated().flatMap { place, character in
            (rows[character] ?? []).enumerated().flatMap { y, row in
                row.enumerated().filter { $0.element == "#" }.map { (place * (width + 1) + $0.offset, y) }
            }
        }
    }

    /// Pixels across a text.
    static func width(of text: String) -> Int { max(0, text.count * (width + 1) - 1) }
}

extension Picture {
    /// Writes a text with a black rim, so that it is read on any grey; what lies outside the picture is left out.
    ///
    /// - Parameters:
    ///   - place: the text's left upper corner.
    ///   - scale: pixels to a pixel of ``Glyphs``.
    mutating func write(
        _ text: String, at place: (left: Int, top: Int), scale: Int, colour: (UInt8, UInt8, UInt8)
    ) {
        let pixels = Glyphs.pixels(of: text).map { (x: place.left + $0.x * scale, y: place.top + $0.y * scale) }
        let rim = max(1, scale / 2)
        for pixel in pixels {
            fill(pixel.x - rim..<pixel.x + scale + rim, pixel.y - rim..<pixel.y + scale + rim, (0, 0, 0))
        }
        for pixel in pixels { fill(pixel.x..<pixel.x + scale, pixel.y..<pixel.y + scale, colour) }
    }

    /// A line of some width between two pixels, with a black rim.
    mutating func line(
        from: SIMD2<Double>, to: SIMD2<Double>, thickness: Int, colour: (UInt8, UInt8, UInt8)
    ) {
        let length = max(abs(to.x - from.x), abs(to.y - from.y)).rounded(.up)
        let points = (0...max(1, Int(length))).map { from + (to - from) * (Double($0) / max(1, length)) }
        for (rim, colour) in [(1, (0, 0, 0)), (0, colour)] as [(Int, (UInt8, UInt8, UInt8))] {
            for point in points {
                let (x, y) = (Int(point.x.rounded()) - thickness / 2, Int(point.y.rounded()) - thickness / 2)
                fill(x - rim..<x + thickness + rim, y - rim..<y + thickness + rim, colour)
            }
        }
    }

    /// Sets the part of a rectangle that lies in the picture.
    private mutating func fill(_ columns: Range<Int>, _ rows: Range<Int>, _ colour: (UInt8, UInt8, UInt8)) {
        for y in rows.clamped(to: 0..<height) {
            for x in columns.clamped(to: 0..<width) { set(x, y, to: colour) }
        }
    }
}
