/// Draws loss and Dice over the steps, one above the other, as SVG.
struct CurvePlot {
    /// A line of a chart.
    private struct Line {
        let name: String
        let points: [(step: Double, value: Double)]
        let colour: String
        /// Validation has a dot at each value; training's line is pale.
        let isDotted: Bool
    }

    /// Where a chart is drawn, in pixels, and what its edges stand for.
    private struct Frame {
        let top: Int
        let steps: Double
        let highest: Double

        static let (left, width, height) = (70, 700, 230)

        func x(_ step: Double) -> Int { Self.left + Int((step / steps * Double(Self.width)).rounded()) }

        func y(_ value: Double) -> Int {
            top + Self.height - Int((min(max(value / highest, 0), 1) * Double(Self.height)).rounded())
        }
    }

    private static let colours = ["loss": "#282828", "liver": "#1e8c3c", "lesion": "#c83232"]
    private static let ink = "#3c3c3c"

    private var elements: [String] = []

    /// The picture of `curves`: an SVG document of 800 x 600 pixels.
    static func svg(of curves: Curves, classes: [String]) -> String {
        var plot = CurvePlot()
        let steps = max(1, curves.last("step") ?? 1)
        let loss = curves.series("loss")
        plot.chart(
            Frame(top: 30, steps: steps, highest: max(loss.map(\.value).max() ?? 1, 1e-6)),
            [Line(name: "loss", points: loss, colour: colours["loss"] ?? ink, isDotted: false)])
        let dice = classes.flatMap { name in
            [("", "dice_", false), ("validation ", "validation_", true)].map { title, prefix, isDotted in
                Line(
                    name: title + name, points: curves.series(prefix + name), colour: colours[name] ?? ink,
                    isDotted: isDotted)
            }
        }
        plot.chart(Frame(top: 310, steps: steps, highest: 1), dice.filter { !$0.points.isEmpty }, title: "dice")
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="800" height="600" font-family="sans-serif" font-size="13">
            <rect width="800" height="600" fill="white"/>
            \(plot.elements.joined(separator: "\n"))
            </svg>

            """
    }

    private mutating func chart(_ frame: Frame, _ lines: [Line], title: String? = nil) {
        let (left, right) = (Frame.left, Frame.left + Frame.width)
        let (top, bottom) = (frame.top, frame.top + Frame.height)
        for part in 0...4 {
            let (value, step) = (Double(part) / 4 * frame.highest, Double(part) / 4 * frame.steps)
            let (x, y) = (frame.x(step), frame.y(value))
            elements.append("<path d=\"M\(left) \(y)H\(right)M\(x) \(top)V\(bottom)\" stroke=\"#e1e1e1\"/>")
            write(short(value), x: left - 8, y: y + 5, anchor: "end")
            write(short(step), x: x, y: bottom + 18, anchor: "middle")
        }
        for line in lines { draw(line, in: frame) }
        let legend =
            (title.map { ["<tspan>\($0)</tspan>"] } ?? [])
            + lines.map { "<tspan fill=\"\($0.colour)\"\(opacity($0)) dx=\"20\">\($0.name)</tspan>" }
        elements.append("<text x=\"\(left)\" y=\"\(top - 10)\" fill=\"\(Self.ink)\">\(legend.joined())</text>")
    }

    private mutating func draw(_ line: Line, in frame: Frame) {
        let places = line.points.map { (x: frame.x($0.step), y: frame.y($0.value)) }
        let path = places.map { "\($0.x),\($0.y)" }.joined(separator: " ")
        elements.append("<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(line.colour)\"\(opacity(line))/>")
        guard line.isDotted || places.count == 1 else { return }
        for place in places {
            elements.append("<circle cx=\"\(place.x)\" cy=\"\(place.y)\" r=\"2.5\" fill=\"\(line.colour)\"/>")
        }
    }

    private func opacity(_ line: Line) -> String { line.isDotted || line.name == "loss" ? "" : " opacity=\"0.5\"" }

    private mutating func write(_ text: String, x: Int, y: Int, anchor: String) {
        elements.append(
            "<text x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor)\" fill=\"\(Self.ink)\">\(text)</text>")
    }
}

/// A number with at most three digits that matter, and with k for thousands.
private func short(_ value: Double) -> String {
    if value >= 10_000 { return "\(Int((value / 1000).rounded()))k" }
    if value >= 100 || value == value.rounded() { return "\(Int(value.rounded()))" }
    let digits = value >= 10 ? 10.0 : value >= 1 ? 100.0 : 1000.0
    return "\((value * digits).rounded() / digits)"
}
