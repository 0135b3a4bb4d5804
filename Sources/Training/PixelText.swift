/// Letters of 3 x 5 pixels, drawn twice as large: as many as the curves' axes and legends need.
enum PixelText {
    /// Pixels that a text is wide.
    static func width(of text: String) -> Int { max(0, text.count * advance - scale) }

    /// The inked pixels of a text, from its top left corner; a letter that has no picture is a space.
    static func pixels(of text: String) -> [(x: Int, y: Int)] {
        var result: [(x: Int, y: Int)] = []
        for (index, letter) in text.enumerated() {
            for (row, line) in (glyphs[letter] ?? []).enumerated() {
                for (column, ink) in line.enumerated() where ink == "#" {
                    for dy in 0..<scale {
                        for dx in 0..<scale {
                            result.append((index * advance + column * scale + dx, row * scale + dy))
                        }
                    }
                }
            }
        }
        return result
    }

    private static let scale = 2
    private static let advance = 4 * scale

    private static let glyphs: [Character: [String]] = [
        "0": ["###", "#.#", "#.#", "#.#", "###"], "1": [".#.", "##.", ".#.", ".#.", "###"],
        "2": ["###", "..#", "###", "#..", "###"], "3": ["###", "..#", ".##", "..#", "###"],
        "4": ["#.#", "#.#", "###", "..#", "..#"], "5": ["###", "#..", "###", "..#", "###"],
        "6": ["###", "#..", "###", "#.#", "###"], "7": ["###", "..#", ".#.", ".#.", ".#."],
        "8": ["###", "#.#", "###", "#.#", "###"], "9": ["###", "#.#", "###", "..#", "###"],
        ".": ["...", "...", "...", "...", ".#."], "-": ["...", "...", "###", "...", "..."],
        "a": ["...", ".##", "#.#", "#.#", ".##"], "c": ["...", ".##", "#..", "#..", ".##"],
        "d": ["..#", "..#", ".##", "#.#", ".##"], "e": ["...", "###", "###", "#..", ".##"],
        "i": [".#.", "...", ".#.", ".#.", ".#."], "k": ["#..", "#.#", "##.", "##.", "#.#"],
        "l": [".#.", ".#.", ".#.", ".#.", ".##"], "n": ["...", "##.", "#.#", "#.#", "#.#"],
        "o": ["...", "###", "#.#", "#.#", "###"], "r": ["...", ".##", "#..", "#..", "#.."],
        "s": ["...", ".##", "#..", "..#", "##."], "t": [".#.", "###", ".#.", ".#.", ".##"],
        "v": ["...", "#.#", "#.#", "#.#", ".#."],
    ]
}
