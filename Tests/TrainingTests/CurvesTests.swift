import Testing

@testable import Training

@Suite struct CurvesTests {
    private func table(steps: [Int]) -> Curves {
        var curves = Curves(classes: ["liver", "lesion"], cases: ["lits005"])
        for step in steps {
            curves.add([
                "step": Double(step), "loss": 1 / Double(step), "dice_liver": 0.5,
                "validation_liver": step % 20 == 0 ? 0.25 : nil, "lits005_lesion": step % 20 == 0 ? 0.125 : nil,
            ])
        }
        return curves
    }

    @Test func writesOneLineARow() {
        let lines = table(steps: [10, 20]).csv.split(separator: "\n")
        #expect(
            lines[0] == """
                step,epoch,samples,learning_rate,loss,dice_liver,dice_lesion,validation_liver,validation_lesion,\
                lits005_liver,lits005_lesion,samples_per_s,seconds
                """)
        #expect(lines[1] == "10,,,,0.1,0.5,,,,,,,")
        #expect(lines[2] == "20,,,,0.05,0.5,,0.25,,,0.125,,")
    }

    @Test func keepsTheRowsUpToTheCheckpoint() {
        var curves = Curves(classes: ["liver", "lesion"], cases: ["lits005"])
        curves.takeRows(from: table(steps: [10, 20, 30]).csv, upTo: 25)
        #expect(curves == table(steps: [10, 20]))
        #expect(curves.last("validation_liver") == 0.25)
        curves.takeRows(from: "step,loss\n1,2\n", upTo: 25)
        #expect(curves.rows.count == 2)
    }

    @Test func drawsALineWhereTheNumbersAre() {
        // Loss falls from 0.1 at step 10 to 0.05 at step 20: the chart's top edge is 0.1, its right edge 20.
        let svg = CurvePlot.svg(of: table(steps: [10, 20]), classes: ["liver", "lesion"])
        #expect(svg.contains(##"<polyline points="420,30 770,145" fill="none" stroke="#282828"/>"##))
        // Validation's only value, 0.25 at step 20, is a dot.
        #expect(svg.contains(##"<circle cx="770" cy="482" r="2.5" fill="#1e8c3c"/>"##))
        #expect(svg.contains(##"text-anchor="end" fill="#3c3c3c">0.075</text>"##))
    }
}
