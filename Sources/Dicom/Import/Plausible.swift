// What an import may have said: a child that read hostile files may say anything.

extension DicomReport {
    /// Whether an import could have told this: a child's word is held against it before it is computed with, kept and
    /// shown.
    public func isPossible(voxels: Int, uids wanted: Bool) -> Bool {
        let most = DicomLimits().files
        let taken = volumes.filter(\.taken)
        guard (1...most).contains(files), volumes.count <= most, taken.count == 1 else { return false }
        return volumes.allSatisfy { $0.isPossible(slices: 1...most) } && taken[0].refusal == nil
            && taken[0].rows * taken[0].columns * taken[0].slices <= voxels && taken[0].spacingMm.count == 3
            && leftOut.allSatisfy { (0...most).contains($0.files) }
            && findings.count <= 100 && findings.allSatisfy { (0...voxels).contains($0.count) }
            && (wanted ? uids?.isPossible(slices: most) ?? true : uids == nil)
            && (slices?.isPossible(slices: taken[0].slices) ?? true)
    }
}

extension DicomReport.SliceNames {
    fileprivate func isPossible(slices count: Int) -> Bool {
        instanceNumbers.count == count && locationsMm.count == count
            && instanceNumbers.allSatisfy { $0.map { Int32(exactly: $0) != nil } ?? true }
            && locationsMm.allSatisfy { $0?.isFinite ?? true }
    }
}

extension DicomError {
    /// Whether a sentence can be made of it that is the child's in nothing but its numbers.
    public var isPossible: Bool {
        let most = DicomLimits().files
        return switch self {
        case .seriesNotFound(let found), .acquisitionNotFound(let found): found.count <= most
        case .noCT(_, let leftOut): leftOut.count <= LeftOutReason.allCases.count
        case .notWritten(let code):
            code.utf8.count <= 64 && code.utf8.allSatisfy { $0 == UInt8(ascii: "_") || (0x61...0x7A).contains($0) }
        default: true
        }
    }
}

extension DicomReport.Volume {
    fileprivate func isPossible(slices possible: ClosedRange<Int>) -> Bool {
        // Rows and columns are 16-bit in DICOM, IS numbers 32-bit: products of the first three fit.
        possible.contains(slices) && (1...Int(UInt16.max)).contains(rows) && (1...Int(UInt16.max)).contains(columns)
            && (1...possible.upperBound).contains(number) && spacingMm.count <= 3 && spacingMm.allSatisfy(\.isFinite)
            && [seriesNumber, acquisitionNumber].allSatisfy { $0.map { Int32(exactly: $0) != nil } ?? true }
    }
}

extension DicomReport.UIDs {
    fileprivate func isPossible(slices most: Int) -> Bool {
        let all = [study, series, frameOfReference, sopClass].compactMap { $0 } + instances
        return all.allSatisfy(isSoundUID) && instances.count <= most && (slices?.count ?? 0) <= most
            && (orientation.map { $0.count == 6 && $0.allSatisfy(\.isFinite) } ?? true)
            && (slices ?? []).allSatisfy { slice in
                slice.position.count == 3 && slice.position.allSatisfy(\.isFinite)
                    && (slice.frame.map { UInt32(exactly: $0) != nil } ?? true)
            }
    }
}
