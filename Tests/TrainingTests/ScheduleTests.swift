import Testing
import Training

@Suite struct ScheduleTests {
    @Test func thePapersFallsByATenthAnEpoch() {
        let schedule = Schedule(.paper, peak: 0.001, stepsPerEpoch: 10, steps: 500)
        #expect(schedule.rate(at: 0) == 0.001)
        #expect(schedule.rate(at: 9) == 0.001)
        #expect(abs(schedule.rate(at: 10) - 0.0009) < 1e-12)
        // 0.9^49 = 0.005726418...
        #expect(abs(schedule.rate(at: 499) - 5.726418e-6) < 1e-11)
    }

    @Test func theCosineEndsAtZero() {
        let schedule = Schedule(.cosine, peak: 2, stepsPerEpoch: 7, steps: 110, warmUp: 10)
        #expect(schedule.rate(at: 10) == 2)
        #expect(abs(schedule.rate(at: 60) - 1) < 1e-12)
        // A quarter of the way: cos 45°.
        #expect(abs(schedule.rate(at: 35) - (1 + 0.5.squareRoot())) < 1e-12)
        #expect(schedule.rate(at: 109) > 0 && schedule.rate(at: 109) < 0.001)
        #expect(schedule.rate(at: 110) == 0)
    }

    @Test(arguments: Schedule.Shape.allCases)
    func warmsUpInEqualParts(shape: Schedule.Shape) {
        let schedule = Schedule(shape, peak: 1, stepsPerEpoch: 100, steps: 100, warmUp: 3)
        for step in 0..<3 { #expect(abs(schedule.rate(at: step) - Double(step + 1) / 4) < 1e-12) }
        #expect(schedule.rate(at: 3) == 1)
    }
}
