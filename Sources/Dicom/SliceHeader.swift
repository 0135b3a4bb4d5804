import Foundation

/// What a volume needs to know of one slice, a file or a frame of one: its place, its grid and its encoding. Holds no text of the file but UIDs.
struct SliceHeader {
    let file: URL
    /// Which of the file's frames, from 0, and how many it has.
    var frame = 0
    var frames: Int
    var series, study, frameOfReference, instance, sopClass: String
    var seriesNumber, acquisitionNumber, instanceNumber, temporalPosition: Int?
    /// Seconds since midnight.
    var acquisitionTime, contentTime: Double?
    var phase: ContrastPhase
    var syntax: TransferSyntax
    var rows, columns: Int
    /// Bits and samples of a pixel.
    var bits, samples: Int
    /// The first voxel's centre, in LPS millimetres; nil for a file of several frames of which not each has a place.
    var position: SIMD3<Double>?
    /// Unit directions in which columns and rows are counted, LPS.
    var alongRow, alongColumn: SIMD3<Double>
    /// Distance between columns and between rows, mm; 0 where the file has none.
    var columnSpacing, rowSpacing: Double
    var slope, intercept: Double
    /// Stored values that are no measurement.
    var padding: ClosedRange<Int32>?

    /// At right angles to the slice.
    var normal: SIMD3<Double> { cross(alongRow, alongColumn) }
}

/// Either slices, one but for enhanced images, or why a file has none.
enum JudgedFile {
    case slices([SliceHeader])
    case leftOut(LeftOutReason)
}

private let directoryClass = "1.2.840.10008.1.3.10"
/// The first of a family, whose others have a number more.
private let secondaryCaptureClass = "1.2.840.10008.5.1.4.1.1.7"

/// Reads a file's attributes and says whether it holds slices of a CT.
///
/// - Throws: only what is not the file's fault.
func judge(_ url: URL, limits: DicomLimits) throws(DicomError) -> JudgedFile {
    do throws(DicomFault) {
        let file = try DicomFile(reading: url.path)
        return SliceHeader.judge(file, url, limits)
    } catch {
        switch error {
        case .empty: return .leftOut(.emptyFile)
        case .notDicom: return .leftOut(.notDicom)
        case .cannotOpen: throw .importFailed(reason: .cannotRead)
        case .outOfMemory: throw .outOfMemory
        case .noDictionary: throw .importFailed(reason: .noDictionary)
        default: return .leftOut(.damaged)
        }
    }
}

extension SliceHeader {
    fileprivate static func judge(_ file: borrowing DicomFile, _ url: URL, _ limits: DicomLimits) -> JudgedFile {
        let metaClass = file.text(.mediaStorageClass)
        let sopClass = file.text(.sopClass).isEmpty ? metaClass : file.text(.sopClass)
        if metaClass == directoryClass || sopClass == directoryClass { return .leftOut(.directory) }
        if sopClass == secondaryCaptureClass || sopClass.hasPrefix(secondaryCaptureClass + ".") {
            return .leftOut(.secondaryCapture)
        }
        guard file.text(.modality) == "CT" else { return .leftOut(.notCT) }
        guard let rows = file.integer(.rows), let columns = file.integer(.columns), rows > 0, columns > 0 else {
            return .leftOut(.noPixels)
        }
        let kinds = file.text(.imageType).uppercased().split(separator: "\\")
        if kinds.contains("LOCALIZER") { return .leftOut(.localizer) }
        if kinds.contains("SCREEN SAVE") { return .leftOut(.secondaryCapture) }
        var slice = SliceHeader(file, url, rows, columns)
        if slice.frames > 1 {
            guard slice.frames <= limits.files else { return .slices([slice]) }
            var slices: [SliceHeader] = []
            for frame in 0..<slice.frames {
                guard let placed = slice.frame(frame, of: file) else { return .slices([slice]) }
                slices.append(placed)
            }
            return .slices(slices)
        }
        let isPlaced = slice.place(
            at: file.numbers(.position, limit: 3), along: file.numbers(.orientation),
            spacing: file.numbers(.pixelSpacing, limit: 2))
        return isPlaced ? .slices([slice]) : .leftOut(.noPosition)
    }

    /// What all frames of a file have in common; places come later.
    private init(_ file: borrowing DicomFile, _ url: URL, _ rows: Int, _ columns: Int) {
        self.file = url
        series = file.uid(.seriesInstance)
        study = file.uid(.studyInstance)
        frameOfReference = file.uid(.frameOfReference)
        sopClass = file.uid(.sopClass).isEmpty ? file.uid(.mediaStorageClass) : file.uid(.sopClass)
        let own = file.uid(.sopInstance)
        instance = own.isEmpty ? file.uid(.mediaStorageInstance) : own
        seriesNumber = file.integer(.seriesNumber)
        acquisitionNumber = file.integer(.acquisitionNumber)
        instanceNumber = file.integer(.instanceNumber)
        temporalPosition = file.integer(.temporalPosition)
        acquisitionTime = file.time(.acquisitionTime) ?? file.time(.acquisitionDateTime)
        contentTime = file.time(.contentTime)
        phase = ContrastPhase(
            description: file.text(.seriesDescription),
            delay: acquisitionTime.flatMap { end in file.time(.contrastStartTime).map { end - $0 } })
        syntax = TransferSyntax(uid: file.syntax)
        frames = max(1, file.integer(.frames) ?? 1)
        self.rows = rows
        self.columns = columns
        bits = file.integer(.bitsAllocated) ?? 0
        samples = file.integer(.samples) ?? 1
        alongRow = SIMD3(1, 0, 0)
        alongColumn = SIMD3(0, 1, 0)
        columnSpacing = 0
        rowSpacing = 0
        // A CT must give both; what it lacks is not guessed, and the stack is refused.
        slope = file.number(.slope) ?? 0
        intercept = file.number(.intercept) ?? .infinity
        padding = Self.padding(file)
    }

    /// Sets the slice's place; false where a number is missing or impossible.
    private mutating func place(at place: [Double], along cosines: [Double], spacing: [Double]) -> Bool {
        // No patient lies 100 m from the scanner; NIfTI's single precision would not hold it.
        guard place.count == 3, cosines.count == 6, place.allSatisfy({ abs($0) < 1e5 }) else { return false }
        position = SIMD3(place[0], place[1], place[2])
        alongRow = SIMD3(cosines[0], cosines[1], cosines[2])
        alongColumn = SIMD3(cosines[3], cosines[4], cosines[5])
        // DICOM gives the distance between rows first.
        if spacing.count == 2 { (rowSpacing, columnSpacing) = (spacing[0], spacing[1]) }
        return true
    }

    /// A frame of an enhanced image, which keeps in functional groups what other files keep as attributes.
    private func frame(_ frame: Int, of file: borrowing DicomFile) -> SliceHeader? {
        func number(_ tag: DicomTag, in group: DicomTag) -> Double? {
            file.numbers(tag, in: group, frame: frame, limit: 1).first
        }
        var slice = self
        slice.frame = frame
        slice.instanceNumber = frame + 1
        let isPlaced = slice.place(
            at: file.numbers(.position, in: .planePosition, frame: frame, limit: 3),
            along: file.numbers(.orientation, in: .planeOrientation, frame: frame),
            spacing: file.numbers(.pixelSpacing, in: .pixelMeasures, frame: frame, limit: 2))
        guard isPlaced else { return nil }
        slice.acquisitionNumber =
            number(.frameAcquisition, in: .frameContent).flatMap { Int32(exactly: $0) }.map(Int.init)
            ?? acquisitionNumber
        slice.temporalPosition =
            number(.temporalIndex, in: .frameContent).flatMap { Int32(exactly: $0) }.map(Int.init) ?? temporalPosition
        slice.slope = number(.slope, in: .pixelTransformation) ?? slope
        slice.intercept = number(.intercept, in: .pixelTransformation) ?? intercept
        return slice
    }

    /// Padding is kept with the pixels' sign, but files write it unsigned too: 63536 stands for -2000.
    private static func padding(_ file: borrowing DicomFile) -> ClosedRange<Int32>? {
        let isSigned = file.integer(.pixelRepresentation) == 1
        func value(_ tag: DicomTag) -> Int32? {
            guard let raw = file.integer(tag) else { return nil }
            let word = UInt16(truncatingIfNeeded: raw)
            return isSigned ? Int32(Int16(bitPattern: word)) : Int32(word)
        }
        guard let first = value(.padding) else { return nil }
        let second = value(.paddingLimit) ?? first
        return min(first, second)...max(first, second)
    }
}

extension DicomFile {
    /// A UID as DICOM allows it, else "": what is echoed cannot be anything but digits and points.
    fileprivate func uid(_ tag: DicomTag) -> String {
        let text = text(tag)
        let isSound = text.utf8.count <= 64 && text.utf8.allSatisfy { $0 == 0x2E || (0x30...0x39).contains($0) }
        return isSound ? text : ""
    }

    /// The time of day of a TM or DT value, in seconds: `HHMMSS.ffffff`, a date before it passed over.
    fileprivate func time(_ tag: DicomTag) -> Double? {
        var text = Substring(text(tag))
        if tag.value == DicomTag.acquisitionDateTime.value { text = text.dropFirst(8) }
        let digits = text.prefix { $0.isNumber || $0 == "." }
        guard digits.count >= 6, let value = Double(digits), value < 240_000 else { return nil }
        let whole = Int(value)
        return Double(whole / 10_000 * 3600 + whole / 100 % 100 * 60) + value - Double(whole / 100 * 100)
    }
}

/// The vector at right angles to both.
func cross(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> SIMD3<Double> {
    SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

/// The inner product.
func dot(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double { (a * b).sum() }
