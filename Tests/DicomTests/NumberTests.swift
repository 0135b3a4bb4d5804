import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Decimal and integer strings: wholly a number, or refused by the attribute's name.
@Suite struct NumberTests {
    static let sound: [NumberAttribute: [String]] = [
        .slope: [" 1", "1 ", "1.0", "+1", "1.", "1e0", "+1.0E+00", "0.1e1"],
        .intercept: ["-1024", " -1024.0 ", "-1.024e3", "-1024."],
        .position: ["-10\\-20\\0", " -10 \\-2e1\\ .0"], .pixelSpacing: ["0.7\\0.8", ".7\\8e-1"],
        .orientation: ["1\\0\\0\\0\\1\\0", "+1\\0e3\\0\\0\\1.0\\0"], .frames: ["1", " 1 "],
    ]
    static let unsound: [NumberAttribute: [String]] = [
        .slope: ["1,5", "1,0", "1.5.2", "1 5", "1x", "0x1", "inf", "nan", "1e", "--1", "e1", "1.5HU", "1'5"],
        .intercept: ["-1024,0", "-1,024.0", "- 1024"], .position: ["-10,5\\-20\\0", "-10\\-20\\0,0"],
        .pixelSpacing: ["0,7\\0,8", "0.7mm\\0.8"], .orientation: ["1,0\\0\\0\\0\\1\\0"], .frames: ["1,0", "1x"],
    ]

    @Test(arguments: sound.flatMap { key, texts in texts.map { (key, $0) } })
    func takenAsWritten(attribute: NumberAttribute, text: String) throws {
        var slices = syntheticSeries()
        // The first slice's place is the same in all of these.
        slices[0].texts[attribute] = text
        #expect(try ImportRun.of(slices).bytes == ImportRun.of(syntheticSeries()).bytes)
    }

    @Test(arguments: unsound.flatMap { key, texts in texts.map { (key, $0) } }, [0, 5])
    func refusedByName(text: (NumberAttribute, String), slice: Int) throws {
        var slices = syntheticSeries()
        slices[slice].texts[text.0] = text.1
        let expected = DicomError.badNumber(attribute: text.0)
        #expect(throws: expected) { try ImportRun.of(slices.shuffled()) }
        #expect(expected.description.contains(text.0.rawValue) && !expected.description.contains(text.1))
    }

    @Test func aSoundSeriesBesideIsTaken() throws {
        var template = SyntheticSlice()
        (template.series, template.seriesNumber) = ("1.2.3.5", 3)
        var broken = syntheticSeries(slices: 20, template: template)
        broken[3].texts[.slope] = "1,5"
        let run = try ImportRun.of(syntheticSeries() + broken)
        #expect(run.taken?.seriesNumber == 2 && run.finding("better_volume_refused") == 1)
        #expect(run.report.volumes[1].refusal?.code == "dicom_bad_number")
    }

    @Test(arguments: [
        ("20260203", "101112.5", 36_672.5), ("", "1011", 36_660), ("", "10", 36_000), ("", "10:11:12", 36_672),
    ])
    func times(date: String, time: String, seconds: Double) {
        let moment = DicomMoment(date: date, time: time)
        #expect(moment?.seconds == seconds && (moment?.days == 0) == date.isEmpty)
    }

    @Test(arguments: ["", "1", "101", "10111", "ten", "10111,5"])
    func noTimes(text: String) { #expect(DicomMoment(date: "", time: text)?.seconds == nil) }

    @Test func midnightDoesNotTurnTime() throws {
        let before = try #require(DicomMoment(dateTime: "20260131235959.9"))
        let after = try #require(DicomMoment(dateTime: "20260201000001.0+0100"))
        #expect(after.days * 86_400 + after.seconds > before.days * 86_400 + before.seconds)
    }
}
