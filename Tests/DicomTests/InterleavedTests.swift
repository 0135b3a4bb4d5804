import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Two phases of one series of which one lies between the slices of the other, and scans in two acquisitions.
@Suite struct InterleavedTests {
    /// What alone tells the phases apart.
    enum Mark: String, CaseIterable {
        case acquisition, temporalPosition, imageType, kernel, voltage, frameOfReference, heartPhase, description
        case thickness, triggerTime, triggerTimes, seriesTime, acquisitions, oneTime, times, timesToAndFro, contentTimes
        case instances, instancesBackwards
    }

    /// 24 places 2.5 mm apart; even ones are of the first phase, odd ones of the second, whose values are 100 higher.
    private func interleaved(_ mark: Mark) -> [SyntheticSlice] {
        syntheticSeries(slices: 24).enumerated().map { z, slice in
            var slice = slice
            let (phase, step) = (z % 2, z / 2)
            slice.pixels = slice.pixels.map { $0 + 100 * phase }
            slice.instanceNumber = nil
            /// `HHMM` of a phase and the slice's seconds.
            func time(_ step: Int) -> String { "10\(10 + 2 * phase)\(10 + step).25" }
            switch mark {
            case .acquisition: slice.acquisition = phase + 1
            case .temporalPosition: slice.temporalPosition = phase + 1
            case .imageType: slice.imageType += phase == 0 ? "\\A" : "\\B"
            case .kernel: slice.kernel = phase == 0 ? "B30f" : "B31f"
            case .voltage: slice.others = [(0x0018, 0x0060, "DS", phase == 0 ? "80" : "140")]
            case .frameOfReference: slice.frameOfReference += ".\(phase)"
            case .heartPhase: slice.others = [(0x0020, 0x9241, "DS", phase == 0 ? "40" : "70")]
            case .description: slice.description = phase == 0 ? "ABD 1" : "ABD 2"
            case .thickness: slice.others = [(0x0018, 0x0050, "DS", phase == 0 ? "5" : "4")]
            case .triggerTime: slice.others = [(0x0018, 0x1060, "DS", phase == 0 ? "0" : "600")]
            case .triggerTimes: slice.others = [(0x0018, 0x1060, "DS", "\(phase * 500 + step)")]
            case .seriesTime: slice.others = [(0x0008, 0x0031, "TM", "10\(10 + phase)00")]
            case .acquisitions: slice.acquisition = phase * 12 + step
            case .oneTime: slice.acquisitionTime = time(0)
            case .times: slice.acquisitionTime = time(step)
            case .timesToAndFro: slice.acquisitionTime = time(phase == 0 ? step : 12 - step)
            case .contentTimes: slice.contentTime = time(step)
            case .instances: slice.instanceNumber = phase * 12 + step + 1
            case .instancesBackwards: slice.instanceNumber = phase * 12 + 12 - step
            }
            return slice
        }
    }

    @Test(arguments: Mark.allCases)
    func phasesBetweenOneAnotherAreTwoVolumes(mark: Mark) throws {
        let run = try ImportRun.of(interleaved(mark).shuffled())
        #expect(run.report.volumes.map(\.slices) == [12, 12])
        #expect(run.taken?.spacingMm.last == 5)
        let offset = run.hu(0, 0, 0) == Float(storedValue(0, 0, 0) - 1024) ? 0 : 1
        for z in 0..<12 {
            #expect(run.hu(0, 0, z) == Float(storedValue(0, 0, 2 * z + offset) + 100 * offset - 1024))
        }
        #expect(run.finding("volume_chosen") == 1)
    }

    @Test(arguments: [1, 2])
    func eachCanBeChosen(acquisition: Int) throws {
        let run = try ImportRun.of(interleaved(.acquisition), options: DicomOptions(acquisition: acquisition))
        #expect(run.taken?.acquisitionNumber == acquisition && run.taken?.slices == 12)
        #expect(run.hu(0, 0, 1) == Float(storedValue(0, 0, acquisition + 1) + 100 * (acquisition - 1) - 1024))
    }

    /// Two phases too short for a volume each are not one volume either.
    @Test func shortPhasesAreNotMixed() throws {
        let slices = Array(interleaved(.acquisition).prefix(16))
        #expect(throws: DicomError.tooFewSlices(found: 8, needed: 10)) { try ImportRun.of(slices) }
    }

    /// What ordinary scans do along the stack: another acquisition half-way, one each turn, times that rise with each turn,
    /// in either direction, and blocks scanned from the middle.
    @Test(arguments: 0..<5)
    func whatChangesAlongTheStackLeavesItOneVolume(kind: Int) throws {
        let slices = syntheticSeries(slices: 24).enumerated().map { z, slice in
            var slice = slice
            let turn = z / 4
            switch kind {
            case 0: slice.acquisition = 1 + z / 12
            case 1: slice.acquisition = 1 + turn
            case 2: slice.acquisitionTime = "1010\(10 + turn)"
            case 3:
                slice.acquisitionTime = "1010\(30 - turn)"
                slice.instanceNumber = 24 - z
            default:
                slice.acquisitionTime = "1010\(10 + (turn + 3) % 6)"
                slice.acquisition = 1 + (turn + 3) % 6
            }
            return slice
        }
        let run = try ImportRun.of(slices.shuffled())
        #expect(run.report.volumes.map(\.slices) == [24] && run.report.findings.isEmpty)
        #expect(run.taken?.acquisitionNumbers == (kind == 0 ? [1, 2] : kind == 1 || kind == 4 ? Array(1...6) : nil))
    }

    @Test func oneSliceOfAnotherAcquisitionIsTold() throws {
        var slices = syntheticSeries(slices: 24)
        slices[9].acquisition = 2
        let run = try ImportRun.of(slices)
        #expect(run.taken?.slices == 24 && run.finding("acquisitions_mixed") == 1)
    }

    // MARK: Scans in two acquisitions

    /// Two acquisitions of 20 slices that share `overlap` positions, with other voxels there.
    private func endToEnd(overlap: Int, shift: Double = 0, hasNumbers: Bool = true) -> [SyntheticSlice] {
        let first = syntheticSeries(slices: 20)
        var template = SyntheticSlice()
        if hasNumbers { template.acquisition = 2 }
        template.position.z = Double(20 - overlap) * 2.5 + shift
        let second = syntheticSeries(slices: 20, template: template).enumerated().map { z, slice in
            var slice = slice
            slice.instance = "1.2.3.4.9.\(z)"
            slice.instanceNumber = 21 + z
            slice.pixels = slice.pixels.map { $0 + 50 }
            return slice
        }
        return first + second
    }

    @Test(arguments: [1, 3, 5], [true, false])
    func overlappingAcquisitionsAreOneVolume(overlap: Int, hasNumbers: Bool) throws {
        let slices = endToEnd(overlap: overlap, hasNumbers: hasNumbers)
        let run = try ImportRun.of(slices.shuffled())
        #expect(run.report.volumes.map(\.slices) == [40 - overlap])
        #expect(run.finding("acquisitions_overlap") == overlap)
        // The lower acquisition up to its end, then the upper one.
        #expect(run.hu(0, 0, 19) == Float(storedValue(0, 0, 19) - 1024))
        #expect(run.hu(0, 0, 20) == Float(storedValue(0, 0, overlap) + 50 - 1024))
    }

    @Test func aPartOfOneCanStillBeChosen() throws {
        let run = try ImportRun.of(endToEnd(overlap: 1), options: DicomOptions(acquisition: 2))
        #expect(run.taken?.slices == 20 && run.finding("part_of_series") == nil)
    }

    /// What cannot be put together is not left out in silence.
    @Test(arguments: [(1, 1.0), (12, 0.0)])
    func whatIsBeyondTheVolumeIsTold(overlap: Int, shift: Double) throws {
        let run = try ImportRun.of(endToEnd(overlap: overlap, shift: shift))
        #expect(run.report.volumes.map(\.slices) == [20, 20] && run.finding("acquisitions_overlap") == nil)
        #expect(run.finding("part_of_series") == 20 - overlap)
    }
}
