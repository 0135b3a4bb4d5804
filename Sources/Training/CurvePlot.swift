internal import Preview

/// Draws loss and Dice over the steps, one above the other.
struct CurvePlot {
    private typealias Colour = (UInt8, UInt8, UInt8)

    /// A line of a chart.
    private struct Line {
        let name: String
        let points: [(step: Double, value: Double)]
        let colour: Colour
        let isDotted: Bool
    }

    /// Where a chart is drawn, and what its edges stand for.
    private struct Frame {
        let left, top, width, height: Int
        let steps: Double
        let values: ClosedRange<Double>

        func x(_ step: Double) -> Int { left + Int((step / steps * Double(width - 1)).rounded()) }

        func y(_ value: Double) -> Int {
            let part = (value - values.lowerBound) / (values.upperBound - values.lowerBound)
            return top + height - 1 - Int((min(max(part, 0), 1) * Double(height - 1)).rounded())
        }
    }

    private static let grid: Colour = (225, 225, 225)
    private static let ink: Colour = (60, 60, 60)
    private static let colours: [String: Colour] = [
        "loss": (40, 40, 40), "liver": (30, 140, 60), "lesion": (200, 50, 50),
    ]

    private var picture = Picture(width: 800, height: 600, grey: 255)

    /// The picture of `curves`; training's Dice is thin, validation's has a dot at each value.
    static func picture(of curves: Curves, classes: [String]) -> Picture {
        var plot = CurvePlot()
        let steps = max(1, curves.last("step") ?? 1)
        let loss = curves.series("loss")
        let highest = loss.map(\.value).max() ?? 1
        plot.chart(
            Frame(left: 70, top: 30, width: 700, height: 230, steps: steps, values: 0...max(highest, 1e-6)),
            [Line(name: "loss", points: loss, colour: colours["loss"] ?? ink, isDotted: false)])
        let dice = classes.flatMap { name in
            [("", "dice_", false), ("validation ", "validation_", true)].map { title, prefix, isDotted in
                let colour = colours[name] ?? ink
                return Line(
                    name: title + name, points: curves.series(prefix + name),
                    colour: isDotted ? colour : faded(colour), isDotted: isDotted)
            }
        }
        plot.chart(
            Frame(left: 70, top: 310, width: 700, height: 230, steps: steps, values: 0...1),
            dice.filter { !$0.points.isEmpty }, title: "dice")
        return plot.picture
    }

    private static func faded(_ colour: Colour) -> Colour {
        (127 + colour.0 / 2, 127 + colour.1 / 2, 127 + colour.2 / 2)
    }

    private mutating func chart(_ frame: Frame, _ lines: [Line], title: String? = nil) {
        for part in 0...4 {
            let fraction = Double(part) / 4
            let value = frame.values.lowerBound + fraction * (frame.values.upperBound - frame.values.lowerBound)
            let (x, y) = (frame.x(fraction * frame.steps), frame.y(value))
            for column in 0..<frame.width { picture.set(frame.left + column, y, to: Self.grid) }
            for row in 0..<frame.height { picture.set(x, frame.top + row, to: Self.grid) }
            let label = short(value)
            write(label, x: frame.left - 8 - PixelText.width(of: label), y: y - 5, Self.ink)
            let step = short(fraction * frame.steps)
            write(step, x: x - PixelText.width(of: step) / 2, y: frame.top + frame.height + 8, Self.ink)
        }
        for line in lines { draw(line, in: frame) }
        var x = frame.left
        for (name, colour) in (title.map { [($0, Self.ink)] } ?? []) + lines.map({ ($0.name, $0.colour) }) {
            write(name, x: x, y: frame.top - 18, colour)
            x += PixelText.width(of: name) + 24
        }
    }

    private mutating func draw(_ line: Line, in frame: Frame) {
        let places = line.points.map { (x: frame.x($0.step), y: frame.y($0.value)) }
        for (from, to) in zip(places, places.dropFirst()) {
            let length = max(1, max(abs(to.x - from.x), abs(to.y - from.y)))
            for part in 0...length {
                picture.set(
                    from.x + (to.x - from.x) * part / length, from.y + (to.y - from.y) * part / length,
                    to: line.colour)
            }
        }
        guard line.isDotted || places.count == 1 else { return }
        for place in places {
            for dy in -2...2 { for dx in -2...2 { picture.set(place.x + dx, place.y + dy, to: line.colour) } }
        }
    }

    private mutating func write(_ text: String, x: Int, y: Int, _ colour: Colour) {
        for pixel in PixelText.pixels(of: text) { picture.set(x + pixel.x, y + pixel.y, to: colour) }
    }
}

/// A number with at most three digits that matter, and with k for thousands.
private func short(_ value: Double) -> String {
    if value >= 10_000 { return "\(Int((value / 1000).rounded()))k" }
    if value >= 100 || value == value.rounded() { return "\(Int(value.rounded()))" }
    let digits = value >= 10 ? 10.0 : value >= 1 ? 100.0 : 1000.0
    return "\((value * digits).rounded() / digits)"
}
