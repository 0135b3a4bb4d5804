import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Several volumes in the files: separated, named and chosen by rule.
@Suite struct PhaseTests {
    enum Mark: CaseIterable { case acquisition, temporalPosition, time, instance }

    /// Three phases of 12 slices at the same places in one series, told apart by one attribute only.
    private func phases(_ mark: Mark) -> [SyntheticSlice] {
        (0..<3).flatMap { phase in
            syntheticSeries().enumerated().map { z, slice in
                var slice = slice
                slice.instance = "1.2.3.4.\(phase).\(z)"
                slice.instanceNumber = mark == .instance ? phase * 12 + z + 1 : nil
                slice.acquisition = mark == .acquisition ? phase + 1 : nil
                slice.temporalPosition = mark == .temporalPosition ? phase + 1 : nil
                if mark == .time { slice.acquisitionTime = "10\(10 + phase)\(10 + z).5" }
                slice.pixels = slice.pixels.map { $0 + 100 * phase }
                return slice
            }
        }
    }

    @Test(arguments: Mark.allCases)
    func interleavedPhasesAreSeparated(mark: Mark) throws {
        let run = try ImportRun.of(phases(mark).shuffled())
        #expect(run.report.volumes.map(\.slices) == [12, 12, 12])
        #expect(run.report.volumes.map(\.taken) == [true, false, false])
        // No slice of another phase is among the first one's.
        for z in 0..<12 { #expect(run.hu(0, 0, z) == Float(storedValue(0, 0, z) - 1024)) }
    }

    @Test func phasesThatNothingTellsApart() throws {
        var slices = phases(.acquisition)
        for index in slices.indices { slices[index].acquisition = 1 }
        let expected = DicomError.phasesNotSeparable(slices: 36, positions: 12)
        #expect(throws: expected) { try ImportRun.of(slices) }
    }

    @Test func callersChoose() throws {
        let slices = phases(.acquisition)
        let run = try ImportRun.of(slices, options: DicomOptions(series: "2", acquisition: 3))
        #expect(run.taken?.acquisitionNumber == 3 && run.hu(0, 0, 0) == Float(storedValue(0, 0, 0) + 200 - 1024))
        let byUID = try ImportRun.of(slices, options: DicomOptions(series: "1.2.3.4", acquisition: 2))
        #expect(byUID.taken?.acquisitionNumber == 2)
        #expect(throws: DicomError.seriesNotFound(found: [2])) {
            try ImportRun.of(slices, options: DicomOptions(series: "5"))
        }
        #expect(throws: DicomError.acquisitionNotFound(found: [1, 2, 3])) {
            try ImportRun.of(slices, options: DicomOptions(acquisition: 9))
        }
    }

    /// Phases that nothing but times, or numbers of instances, tells apart have one series and acquisition: a number of the
    /// list is what is left to name them by.
    @Test(arguments: [Mark.time, .instance], 1...3)
    func aPhaseIsChosenByItsNumber(mark: Mark, number: Int) throws {
        let run = try ImportRun.of(phases(mark).shuffled(), options: DicomOptions(volume: number))
        #expect(run.report.volumes.map(\.taken) == (1...3).map { $0 == number })
        #expect(run.hu(0, 0, 0) == Float(storedValue(0, 0, 0) + 100 * (number - 1) - 1024))
        let message = try #require(
            ImportRun.of(phases(mark)).report.findings.first { $0.code == "volume_chosen" }?.message)
        #expect(message.contains("by its number as volume"))
    }

    @Test func aVolumeThatIsNotThere() throws {
        let slices = phases(.acquisition)
        #expect(throws: DicomError.volumeNotFound(found: 3)) {
            try ImportRun.of(slices, options: DicomOptions(volume: 4))
        }
        var other = phases(.acquisition)
        for index in other.indices { (other[index].series, other[index].seriesNumber) = ("1.2.3.5", 9) }
        #expect(throws: DicomError.volumeNotFound(found: 6)) {
            try ImportRun.of(slices + other, options: DicomOptions(series: "9", volume: 1))
        }
        #expect(
            try ImportRun.of(slices + other, options: DicomOptions(series: "9", volume: 5)).taken?.seriesNumber == 9)
    }

    @Test func portalVenousComesFirstThenMostSlices() throws {
        func series(_ number: Int, _ description: String, slices: Int) -> [SyntheticSlice] {
            var template = SyntheticSlice()
            template.series = "1.2.3.4.\(number)"
            template.seriesNumber = number
            template.description = description
            return syntheticSeries(slices: slices, template: template)
        }
        let others = series(3, "THIN", slices: 20) + series(4, "ART 30s", slices: 14)
        #expect(try ImportRun.of(others).taken?.seriesNumber == 3)
        let portal = series(5, "Liver PORTAL VENOUS 2.5", slices: 12)
        let run = try ImportRun.of(others + portal)
        #expect(run.taken?.seriesNumber == 5 && run.taken?.phase == .portalVenous)
        #expect(run.report.volumes.map(\.phase) == [.unknown, .arterial, .portalVenous])
        // A portal-venous series that cannot be taken is not passed over in silence.
        let broken = portal.filter { $0.instanceNumber != 5 }
        let second = try ImportRun.of(others + broken)
        #expect(second.taken?.seriesNumber == 3 && second.finding("better_volume_refused") == 1)
        #expect(second.report.volumes[2].refusal?.code == "dicom_missing_slices")
    }

    @Test func anEvenStackIsOneVolumeWhateverItsAcquisitions() throws {
        var slices = syntheticSeries(slices: 24)
        for index in slices.indices { slices[index].acquisition = index / 12 }
        let run = try ImportRun.of(slices)
        #expect(run.report.volumes.map(\.slices) == [24] && run.taken?.acquisitionNumber == nil)
    }

    @Test(arguments: [
        ("Abdomen PV 2.0", nil, ContrastPhase.portalVenous), ("portal-venoes", nil, .portalVenous),
        ("LIVER 70s", nil, .portalVenous), ("Leber 65 sec B30f", nil, .portalVenous), ("late arterial", nil, .arterial),
        ("Delayed 5min", nil, .delayed), ("NON-CONTRAST", nil, .native), ("Cardiac", nil, .unknown),
        ("PARTIAL VENT", nil, .unknown), ("", 70.0, .portalVenous), ("", 30, .arterial), ("", 300, .delayed),
        ("ART", 70, .arterial), ("", -5, .unknown),
    ])
    func phaseGuess(description: String, delay: Double?, expected: ContrastPhase) {
        #expect(ContrastPhase(description: description, delay: delay) == expected)
    }
}
