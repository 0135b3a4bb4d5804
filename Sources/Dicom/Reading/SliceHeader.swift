import Foundation

/// What a volume needs to know of one slice, a file or a frame of one: its place, its grid and its encoding.
///
/// Of the file's texts it holds UIDs, and those in ``Origin``, which are compared and never told.
struct SliceHeader {
    let file: URL
    /// Which of the file's frames, from 0, and how many it has.
    var frame = 0
    var frames: Int
    var origin: Origin
    var series, study, frameOfReference, instance, sopClass: String
    var seriesNumber, acquisitionNumber, instanceNumber: Int?
    /// SliceLocation in mm, where the file has one.
    var location: Double?
    /// Seconds since a day long ago, of the same day for all slices of a series.
    var acquisitionTime, contentTime: Double?
    /// Milliseconds after the heart's beat, or after the first phase.
    var triggerTime: Double?
    /// Hashes of what may tell apart volumes that lie in one another, in the order of ``Mark``.
    var marks = [Int](repeating: 0, count: Mark.allCases.count)
    var phase: ContrastPhase
    var kind: ImageKind
    var kernel: KernelKind
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
    /// Why no volume can have this slice.
    var fault: DicomError?

    /// At right angles to the slice.
    var normal: SIMD3<Double> { cross(alongRow, alongColumn) }
}

/// Whose slice it is: texts as the file has them, whether DICOM allows them or not.
struct Origin: Hashable, Comparable {
    var patient, study, series: String

    static func < (a: Origin, b: Origin) -> Bool {
        (a.patient, a.study, a.series) < (b.patient, b.study, b.series)
    }
}

/// An attribute that may tell apart volumes that lie in one another, in the order in which it is believed.
enum Mark: Int, CaseIterable {
    case frameOfReference, imageType, kernel, voltage, acquisition, temporalPosition, temporalIndex, stack, heartPhase
    case description, aside, thickness, seriesTime, triggerTime, acquisitionTime, contentTime

    /// Whether one volume never has two values by turns; what others give may come by chance.
    var isCertain: Bool { rawValue < Mark.description.rawValue }
}

/// Either slices, one but for enhanced images, or why a file has none.
enum JudgedFile {
    case slices([SliceHeader])
    case leftOut(LeftOutReason)
}

/// How many bytes deflated files may inflate to, all together: so many times their own as those of a zip may.
final class InflationBudget {
    private let limits: DicomLimits
    private var left: Int

    /// A budget for files of so many bytes together.
    init(files bytes: Int, limits: DicomLimits) {
        self.limits = limits
        left = limits.inflatedBytes(of: bytes)
    }

    fileprivate func read(_ path: String) throws(DicomFault) -> DicomFile {
        let file = try DicomFile(reading: path, inflateLimit: left)
        left -= file.inflated
        return file
    }
}

private let directoryClass = "1.2.840.10008.1.3.10"
/// The first of a family, whose others have a number more.
private let secondaryCaptureClass = "1.2.840.10008.5.1.4.1.1.7"
/// CT, and its enhanced and legacy-converted forms, which have a number more.
private let ctClass = "1.2.840.10008.5.1.4.1.1.2"

/// Reads a file's attributes and says whether it holds slices of a CT.
///
/// - Parameters:
///   - budget: for all files of an import; nil gives this one a budget of its own.
///   - names: what the file says of itself, as far as it can be read.
/// - Throws: only what is not one file's fault.
func judge(
    _ url: URL, limits: DicomLimits, budget: InflationBudget? = nil, names: (FileNames) -> Void = { _ in }
) throws(DicomError) -> JudgedFile {
    do throws(DicomFault) {
        let budget = budget ?? InflationBudget(files: bytes(of: url), limits: limits)
        let file = try budget.read(url.path)
        names(file.names)
        return SliceHeader.judge(file, url, limits)
    } catch {
        switch error {
        case .empty: return .leftOut(.emptyFile)
        case .notDicom: return .leftOut(isZip(url) ? .archive : .notDicom)
        case .cannotOpen: throw .importFailed(reason: .cannotRead)
        case .outOfMemory: throw .outOfMemory
        case .inflatesTooFar: throw .deflatedBomb(limit: limits.inflation)
        case .noDictionary: throw .importFailed(reason: .noDictionary)
        default: return .leftOut(.damaged)
        }
    }
}

/// A file's size; 0 where it cannot be read.
func bytes(of url: URL) -> Int { (try? url.resourceValues(forKeys: [.fileSizeKey]).fileSize) ?? 0 }

extension SliceHeader {
    fileprivate static func judge(_ file: borrowing DicomFile, _ url: URL, _ limits: DicomLimits) -> JudgedFile {
        let metaClass = file.text(.mediaStorageClass)
        let sopClass = file.text(.sopClass).isEmpty ? metaClass : file.text(.sopClass)
        if metaClass == directoryClass || sopClass == directoryClass { return .leftOut(.directory) }
        if sopClass == secondaryCaptureClass || sopClass.hasPrefix(secondaryCaptureClass + ".") {
            return .leftOut(.secondaryCapture)
        }
        let modality = file.text(.modality).uppercased()
        let isCTClass = sopClass == ctClass || sopClass.hasPrefix(ctClass + ".")
        guard modality == "CT" || (modality.isEmpty && isCTClass) else { return .leftOut(.notCT) }
        guard let rows = file.integer(.rows), let columns = file.integer(.columns), rows > 0, columns > 0 else {
            return .leftOut(.noPixels)
        }
        let kinds = file.text(.imageType).uppercased().split(separator: "\\")
        if kinds.contains("LOCALIZER") { return .leftOut(.localizer) }
        if kinds.contains("SCREEN SAVE") { return .leftOut(.secondaryCapture) }
        var slice = SliceHeader(file, url, rows, columns)
        // Enhanced images keep places in functional groups, even those of one frame.
        if slice.frames > 1 || file.numbers(.position).isEmpty {
            guard slice.frames <= limits.files else { return .slices([slice]) }
            var slices: [SliceHeader] = []
            for frame in 0..<slice.frames {
                guard let placed = slice.frame(frame, of: file) else {
                    return slice.frames > 1 ? .slices([slice]) : .leftOut(.noPosition)
                }
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
        let patient = [file.text(.patientID), file.text(.patientName).uppercased(), file.text(.patientBirthDate)]
        origin = Origin(
            patient: patient.joined(separator: "\\"), study: file.text(.studyInstance),
            series: file.text(.seriesInstance)
        )
        series = file.uid(.seriesInstance)
        let names = file.names
        study = names.study
        frameOfReference = file.uid(.frameOfReference)
        sopClass = names.sopClass
        instance = names.instance
        seriesNumber = file.integer(.seriesNumber)
        acquisitionNumber = file.integer(.acquisitionNumber)
        instanceNumber = file.integer(.instanceNumber)
        location = file.numbers(.sliceLocation, limit: 1).first.flatMap { $0.isFinite ? $0 : nil }
        let moment = file.moment(.acquisitionDateTime) ?? file.moment(.acquisitionTime, date: .acquisitionDate)
        acquisitionTime = moment.map { $0.days * 86_400 + $0.seconds }
        contentTime = file.moment(.contentTime, date: .contentDate).map { $0.days * 86_400 + $0.seconds }
        triggerTime = file.numbers(.triggerTime, limit: 1).first
        let description = file.text(.seriesDescription)
        phase = ContrastPhase(
            description: description,
            delay: moment.flatMap { end in file.moment(.contrastStartTime).map { end.seconds - $0.seconds } })
        kind = ImageKind(type: file.text(.imageType), rescaleType: file.text(.rescaleType), description: description)
        kernel = KernelKind(file.text(.kernel), description: description)
        syntax = TransferSyntax(uid: file.syntax)
        let frameNumbers = file.numbers(.frames, limit: 1)
        frames = max(1, frameNumbers.first.flatMap { Int32(exactly: $0) }.map(Int.init) ?? 1)
        self.rows = rows
        self.columns = columns
        bits = file.integer(.bitsAllocated) ?? 0
        samples = file.integer(.samples) ?? 1
        alongRow = SIMD3(1, 0, 0)
        alongColumn = SIMD3(0, 1, 0)
        columnSpacing = 0
        rowSpacing = 0
        // A CT must give both; what it lacks is not guessed, and the stack is refused.
        let scaling = (slope: file.numbers(.slope, limit: 1), intercept: file.numbers(.intercept, limit: 1))
        slope = scaling.slope.first ?? 0
        intercept = scaling.intercept.first ?? .infinity
        padding = Self.padding(file)
        check(frameNumbers, .frames)
        check(scaling.slope, .slope)
        check(scaling.intercept, .intercept)
        for (mark, tag) in Self.markTags { marks[mark.rawValue] = file.text(tag).hashValue }
    }

    private static let markTags: [(Mark, DicomTag)] = [
        (.frameOfReference, .frameOfReference), (.imageType, .imageType), (.kernel, .kernel), (.voltage, .voltage),
        (.acquisition, .acquisitionNumber), (.temporalPosition, .temporalPosition), (.heartPhase, .heartPhase),
        (.description, .seriesDescription), (.thickness, .thickness), (.seriesTime, .seriesTime),
        (.triggerTime, .triggerTime), (.acquisitionTime, .acquisitionTime), (.contentTime, .contentTime),
    ]

    /// Notes a number that the file gives but not as DICOM writes it: "1,5" is none.
    private mutating func check(_ numbers: [Double], _ attribute: NumberAttribute) {
        if fault == nil, numbers.contains(where: { !$0.isFinite }) { fault = .badNumber(attribute: attribute) }
    }

    /// Sets the slice's place; false where a number is missing or impossible.
    private mutating func place(at place: [Double], along cosines: [Double], spacing: [Double]) -> Bool {
        check(place, .position)
        check(cosines, .orientation)
        check(spacing, .pixelSpacing)
        // With a fault the slice only stands for the file in its series, which is refused.
        if fault != nil {
            position = .zero
            return true
        }
        // No patient lies 100 m from the scanner; NIfTI's single precision would not hold it.
        guard place.count == 3, cosines.count == 6, place.allSatisfy({ abs($0) < 1e5 }) else { return false }
        position = SIMD3(place[0], place[1], place[2])
        alongRow = SIMD3(cosines[0], cosines[1], cosines[2])
        alongColumn = SIMD3(cosines[3], cosines[4], cosines[5])
        // DICOM gives the distance between rows first.
        if spacing.count == 2 { (rowSpacing, columnSpacing) = (spacing[0], spacing[1]) }
        // Two fields of view beside each other; half a millimetre is below any voxel's.
        let aside = [alongRow, alongColumn].map { dot(SIMD3(place[0], place[1], place[2]), $0) }
        marks[Mark.aside.rawValue] = aside.map { ($0 * 2).rounded() }.hashValue
        return true
    }

    /// A frame of an enhanced image, which keeps in functional groups what other files keep as attributes.
    private func frame(_ frame: Int, of file: borrowing DicomFile) -> SliceHeader? {
        func numbers(_ tag: DicomTag, in group: DicomTag) -> [Double] {
            file.numbers(tag, in: group, frame: frame, limit: 1)
        }
        func integer(_ tag: DicomTag, in group: DicomTag) -> Int? {
            numbers(tag, in: group).first.flatMap { Int32(exactly: $0) }.map(Int.init)
        }
        func text(_ tag: DicomTag, in group: DicomTag) -> String { file.text(tag, in: group, frame: frame) }
        var slice = self
        slice.frame = frame
        if frames > 1 { slice.instanceNumber = frame + 1 }
        let isPlaced = slice.place(
            at: file.numbers(.position, in: .planePosition, frame: frame, limit: 3),
            along: file.numbers(.orientation, in: .planeOrientation, frame: frame),
            spacing: file.numbers(.pixelSpacing, in: .pixelMeasures, frame: frame, limit: 2))
        guard isPlaced else { return nil }
        slice.acquisitionNumber = integer(.frameAcquisition, in: .frameContent) ?? acquisitionNumber
        let scaling = (
            slope: numbers(.slope, in: .pixelTransformation), intercept: numbers(.intercept, in: .pixelTransformation)
        )
        slice.check(scaling.slope, .slope)
        slice.check(scaling.intercept, .intercept)
        slice.slope = scaling.slope.first ?? slope
        slice.intercept = scaling.intercept.first ?? intercept
        let (kernelText, type) = (text(.frameKernel, in: .reconstruction), text(.frameType, in: .frameTypes))
        let description = file.text(.seriesDescription)
        if !kernelText.isEmpty { slice.kernel = KernelKind(kernelText, description: description) }
        let unit = text(.rescaleType, in: .pixelTransformation)
        slice.kind = ImageKind(
            type: type.isEmpty ? file.text(.imageType) : type,
            rescaleType: unit.isEmpty ? file.text(.rescaleType) : unit, description: description)
        if let moment = DicomMoment(dateTime: text(.frameTime, in: .frameContent)) {
            slice.acquisitionTime = moment.days * 86_400 + moment.seconds
        }
        let ownMarks: [(Mark, String)] = [
            (.imageType, type), (.kernel, kernelText), (.acquisition, text(.frameAcquisition, in: .frameContent)),
            (.temporalIndex, text(.temporalIndex, in: .frameContent)), (.stack, text(.stack, in: .frameContent)),
            (.heartPhase, text(.heartPhase, in: .cardiacSynchronization)),
            (.thickness, text(.thickness, in: .pixelMeasures)),
        ]
        for (mark, text) in ownMarks where !text.isEmpty { slice.marks[mark.rawValue] = text.hashValue }
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
        return isSoundUID(text) ? text : ""
    }

    /// What it says of itself; files that were made anonymous may do so in their head alone.
    fileprivate var names: FileNames {
        let (own, instance) = (uid(.sopClass), uid(.sopInstance))
        return FileNames(
            sopClass: own.isEmpty ? uid(.mediaStorageClass) : own,
            instance: instance.isEmpty ? uid(.mediaStorageInstance) : instance, study: uid(.studyInstance))
    }

    /// A moment by a date and time in one, or by a time with perhaps a date.
    fileprivate func moment(_ tag: DicomTag, date: DicomTag? = nil) -> DicomMoment? {
        if tag.value == DicomTag.acquisitionDateTime.value { return DicomMoment(dateTime: text(tag)) }
        return DicomMoment(date: date.map { text($0) } ?? "", time: text(tag))
    }
}

/// The vector at right angles to both.
func cross(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> SIMD3<Double> {
    SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

/// The inner product.
func dot(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double { (a * b).sum() }
