/// Why a DICOM import is refused, or failed.
///
/// The cases carry numbers and names of Hepar's own only, never text of a file: they cross from the child process to
/// the service, and end in answers and logs.
public enum DicomError: Error, Equatable, Codable, Sendable {
    /// More files than accepted.
    case tooManyFiles(limit: Int)
    /// A zip that cannot be opened, or whose entry cannot be read.
    case zipDamaged
    /// An entry needs a password.
    case zipEncrypted
    /// More entries than accepted.
    case zipTooManyEntries(found: Int, limit: Int)
    /// More bytes, really inflated, than accepted.
    case zipTooLarge(limitMiB: Int)
    /// An entry that inflates more than any scan does.
    case zipBomb(limit: Int)
    /// Nothing but zips within the zip, or several zips.
    case zipNested
    /// An archive of another kind than zip, or a program.
    case otherArchive
    /// An entry that is a link or a device.
    case zipLink
    /// An absolute path, or one with `..`.
    case zipBadPath
    /// A compression that is neither stored nor deflated.
    case zipMethod
    /// An entry that is longer or shorter than declared.
    case zipSizeMismatch(declared: Int, found: Int)
    /// No file is a slice of a CT.
    case noCT(files: Int, leftOut: [DicomReport.LeftOut])
    /// The wanted study is not there; `found` is how many are.
    case studyNotFound(found: Int)
    /// The wanted series is not there; `found` are the SeriesNumbers that are.
    case seriesNotFound(found: [Int])
    /// The wanted acquisition is not there; `found` are the AcquisitionNumbers that are.
    case acquisitionNotFound(found: [Int])
    /// There is no volume of the wanted number, or it is not of the wanted study or series; `found` is how many there are.
    case volumeNotFound(found: Int)
    /// Fewer slices than a volume needs.
    case tooFewSlices(found: Int, needed: Int)
    /// More voxels than accepted.
    case tooLarge(slices: Int, rows: Int, columns: Int, limit: Int)
    /// Gaps of whole slices.
    case missingSlices(missing: Int, spacingMm: Double, largestGapMm: Double)
    /// Distances between slices that differ otherwise.
    case unevenSlices(smallestMm: Double, largestMm: Double)
    /// Slices are shifted against one another along their own plane.
    case gantryTilt(degrees: Double)
    /// Several slices at a position that nothing tells apart.
    case phasesNotSeparable(slices: Int, positions: Int)
    /// More slices at one position than accepted.
    case tooManyAtOnePosition(found: Int, limit: Int)
    /// A number that is not written as DICOM wants it, such as one with a decimal comma.
    case badNumber(attribute: NumberAttribute)
    /// RescaleType or ImageType says that the voxels are something else than Hounsfield units.
    case notHU
    /// Several frames in a file that does not say where each lies.
    case multiFrame(frames: Int)
    /// A spacing that is no number or not of a CT; 0 where it is absent.
    case badSpacing(millimetres: Double)
    /// Directions of rows and columns that are not at right angles.
    case badOrientation
    /// Rescale slope or intercept is absent or not a possible number.
    case badScaling
    /// Pixels that are not one sample of 8 or 16 bits.
    case unsupportedPixels(bits: Int, samples: Int)
    /// A transfer syntax without a decoder.
    case unsupportedSyntax
    /// The header names another compression than that of the pixels, or one where there is none, or none.
    case wrongSyntax
    /// Deflated files that inflate more than any scan does.
    case deflatedBomb(limit: Int)
    /// A slice that breaks off.
    case truncatedSlice
    /// A slice whose compressed pixels cannot be decoded.
    case damagedSlice
    /// The import broke down on these files: the child was ended by a signal.
    case unreadable(signal: Int)
    /// The import said of these files what cannot be so.
    case unbelievable
    /// The import did not end in time.
    case timeout(seconds: Int)
    /// The import needs more memory than it may have.
    case outOfMemory
    /// The output's name, folder or disk; the code is that of a `VolumeError`.
    case notWritten(code: String)
    /// The child could not be started or gave no answer, or DCMTK's data dictionary is not installed.
    case importFailed(reason: Failure)

    /// What is wrong with the installation or the machine.
    public enum Failure: String, Codable, Sendable {
        case notStarted = "the import could not be started"
        case noAnswer = "the import gave no answer"
        case noDictionary = "DCMTK's data dictionary is not installed"
        case workFolder = "the work folder cannot be written"
        case cannotRead = "a file cannot be read"
    }
}

/// An attribute of a slice that must be a number, by its name in DICOM.
public enum NumberAttribute: String, Codable, Sendable {
    case position = "ImagePositionPatient"
    case orientation = "ImageOrientationPatient"
    case pixelSpacing = "PixelSpacing"
    case slope = "RescaleSlope"
    case intercept = "RescaleIntercept"
    case frames = "NumberOfFrames"
}

extension DicomError {
    /// A name for programs; it does not change from one version to the next.
    public var code: String {
        switch self {
        case .tooManyFiles: "dicom_too_many_files"
        case .zipDamaged: "zip_damaged"
        case .zipEncrypted: "zip_encrypted"
        case .zipTooManyEntries: "zip_too_many_entries"
        case .zipTooLarge: "zip_too_large"
        case .zipBomb: "zip_bomb"
        case .zipNested: "zip_nested"
        case .otherArchive: "dicom_other_archive"
        case .zipLink: "zip_link"
        case .zipBadPath: "zip_bad_path"
        case .zipMethod: "zip_method"
        case .zipSizeMismatch: "zip_size_mismatch"
        case .noCT: "dicom_no_ct"
        case .studyNotFound: "dicom_study_not_found"
        case .seriesNotFound: "dicom_series_not_found"
        case .acquisitionNotFound: "dicom_acquisition_not_found"
        case .volumeNotFound: "dicom_volume_not_found"
        case .tooFewSlices: "dicom_too_few_slices"
        case .tooLarge: "dicom_too_large"
        case .missingSlices: "dicom_missing_slices"
        case .unevenSlices: "dicom_uneven_slices"
        case .gantryTilt: "dicom_gantry_tilt"
        case .phasesNotSeparable: "dicom_phases_not_separable"
        case .tooManyAtOnePosition: "dicom_too_many_at_one_position"
        case .badNumber: "dicom_bad_number"
        case .notHU: "dicom_not_hu"
        case .wrongSyntax: "dicom_wrong_syntax"
        case .deflatedBomb: "dicom_deflated_bomb"
        case .multiFrame: "dicom_multi_frame"
        case .badSpacing: "dicom_bad_spacing"
        case .badOrientation: "dicom_bad_orientation"
        case .badScaling: "dicom_bad_scaling"
        case .unsupportedPixels: "dicom_unsupported_pixels"
        case .unsupportedSyntax: "dicom_unsupported_syntax"
        case .truncatedSlice: "dicom_truncated_slice"
        case .damagedSlice: "dicom_damaged_slice"
        case .unreadable, .unbelievable: "dicom_unreadable"
        case .timeout: "dicom_timeout"
        case .outOfMemory: "dicom_out_of_memory"
        case .notWritten: "dicom_not_written"
        case .importFailed: "dicom_import_failed"
        }
    }

    /// Whether other files, or another choice, would mend it. Otherwise the fault is the server's.
    public var isUsersFault: Bool {
        switch self {
        case .notWritten, .importFailed: false
        default: true
        }
    }

    /// Whether it is a limit on size, number or time that the files passed.
    public var isLimit: Bool {
        switch self {
        case .tooManyFiles, .zipTooManyEntries, .zipTooLarge, .zipBomb, .tooLarge, .timeout, .outOfMemory,
            .tooManyAtOnePosition, .deflatedBomb:
            true
        default: false
        }
    }
}

extension DicomError: CustomStringConvertible {
    /// What was found, what is accepted and what to change.
    public var description: String {
        switch self {
        case .tooManyFiles(let limit):
            "There are more than \(limit) files. Send one series."
        case .zipDamaged:
            "The zip file is damaged. Pack it again and send it whole."
        case .zipEncrypted:
            "The zip file is encrypted. Pack it without a password."
        case .zipTooManyEntries(let found, let limit):
            "The zip file has \(found) entries; at most \(limit) are accepted. Pack one series."
        case .zipTooLarge(let limitMiB):
            "The zip file holds more than \(limitMiB) MiB. Pack one series."
        case .zipBomb(let limit):
            "The zip file has an entry that shrank more than \(limit) times, as no scan does. Send the DICOM files alone."
        case .zipNested:
            "There are only zip files within the zip file, or more than one was sent. Send the DICOM files, or one zip of them."
        case .otherArchive:
            """
            The file is a program (perhaps a zip that extracts itself) or an archive other than zip: tar, gzip, 7-Zip, RAR, xz or \
            bzip2. Unpack it, and send the DICOM files or one zip of them.
            """
        case .zipLink:
            "The zip file has an entry that is a link and no file. Pack the files themselves."
        case .zipBadPath:
            "The zip file has an entry with an absolute path or with '..' in its path. Pack the folder from within."
        case .zipMethod:
            "The zip file uses a compression other than store and deflate. Pack it as an ordinary zip."
        case .zipSizeMismatch(let declared, let found):
            "The zip file declares \(declared) bytes for an entry that has \(found). Pack it again."
        case .noCT(let files, let leftOut):
            """
            \(files == 1 ? "The file is no slice" : "None of the \(files) files is a slice") of a CT\(listed(leftOut)). Send the \
            axial slices of one CT series.
            """
        case .studyNotFound(let found):
            """
            The files do not have that study; they are of \(found == 1 ? "1 study" : "\(found) studies"). Name one by its number \
            or its StudyInstanceUID, or none.
            """
        case .seriesNotFound(let found):
            "The files do not have that series\(listed("SeriesNumber", found)). Name one that is there, or none."
        case .acquisitionNotFound(let found):
            "The files do not have that acquisition\(listed("AcquisitionNumber", found)). Name one that is there, or none."
        case .volumeNotFound(let found):
            """
            The files hold \(counted(found, "volume")); the wanted one is not among them, or not of the study or series that was \
            named. Volumes are counted from 1, as an answer to the same files without that choice lists them.
            """
        case .tooFewSlices(let found, let needed):
            "The volume has \(counted(found, "slice")); at least \(needed) are needed. Send the whole series."
        case .tooLarge(let slices, let rows, let columns, let limit):
            "The volume would have \(columns) x \(rows) x \(slices) voxels; at most \(limit) are accepted."
        case .missingSlices(let missing, let spacing, let gap):
            """
            \(missing == 1 ? "1 slice is" : "\(missing) slices are") missing: they lie \(short(spacing)) mm apart with a gap of \
            \(short(gap)) mm. Send every slice of one phase of the series.
            """
        case .unevenSlices(let smallest, let largest):
            """
            The slices are not evenly spaced: \(short(smallest)) to \(short(largest)) mm apart. Send a series with one \
            distance between slices.
            """
        case .gantryTilt(let degrees):
            """
            The gantry was tilted by \(short(degrees)) degrees; only upright stacks are accepted. Send a series that was \
            corrected for the tilt.
            """
        case .phasesNotSeparable(let slices, let positions):
            """
            The series has \(counted(slices, "slice")) at \(counted(positions, "position")) and nothing tells its phases apart. \
            Send one phase, or phases with AcquisitionNumber or InstanceNumber in order.
            """
        case .tooManyAtOnePosition(let found, let limit):
            "The series has \(found) slices at one position; at most \(limit) are accepted. Send one phase of it."
        case .badNumber(let attribute):
            """
            A slice's \(attribute.rawValue) is not a number as DICOM writes it: digits, a sign, a decimal point (no comma) and \
            an exponent are accepted. Export the series again.
            """
        case .notHU:
            """
            The voxels are not Hounsfield units by the files' RescaleType or ImageType: an iodine, density or other map. Send \
            the CT series itself.
            """
        case .wrongSyntax:
            """
            The transfer syntax that the files' headers name is not that of their pixels: another compression, or none. Export the \
            series again.
            """
        case .deflatedBomb(let limit):
            """
            The deflated DICOM files inflate to more than \(limit) times their size, as no scan does. Send them with another \
            transfer syntax.
            """
        case .multiFrame(let frames):
            """
            A file holds \(counted(frames, "frame")) and not the place of each. Send a series with one file for each slice.
            """
        case .badSpacing(let millimetres):
            """
            The spacing is \(millimetres == 0 ? "0 mm or not given" : "\(short(millimetres)) mm"). It must be given, and from 0.1 \
            to 20 mm along every axis.
            """
        case .badOrientation:
            "The directions of rows and columns are not of length 1 and at right angles. Export the series again."
        case .badScaling:
            "RescaleSlope or RescaleIntercept is missing or not possible in a CT. Send the scanner's original series."
        case .unsupportedPixels(let bits, let samples):
            """
            A pixel has \(counted(samples, "sample")) of \(counted(bits, "bit")). One grey value of 8 or 16 bits is accepted, in \
            slices of at least 2 rows and columns.
            """
        case .unsupportedSyntax:
            """
            The transfer syntax is not supported. Send the series uncompressed, or as RLE, JPEG, JPEG-LS, \
            JPEG 2000 or HTJ2K.
            """
        case .truncatedSlice:
            "A slice of the volume breaks off before its last pixel. Send the series again, whole."
        case .damagedSlice:
            "The compressed pixels of a slice are damaged. Send the series again."
        case .unreadable(let signal):
            "The files could not be read: the import was ended by signal \(signal). Export the series again."
        case .unbelievable:
            """
            The files could not be read: what the import said of them cannot be. They are damaged, or made to do harm: \
            export the series again.
            """
        case .timeout(let seconds):
            "The import took longer than \(seconds) s and was stopped. Send fewer files: one series."
        case .outOfMemory:
            "The import needs more memory than this server gives it. Send fewer or smaller files: one series."
        case .notWritten(let code):
            "The volume could not be written (\(code))."
        case .importFailed(let reason):
            "The import failed: \(reason.rawValue)."
        }
    }
}

private func listed(_ leftOut: [DicomReport.LeftOut]) -> String {
    leftOut.isEmpty ? "" : " (" + leftOut.map { "\($0.reason.rawValue): \($0.files)" }.joined(separator: ", ") + ")"
}

private func listed(_ name: String, _ numbers: [Int]) -> String {
    numbers.isEmpty ? "" : "; \(name) found: " + numbers.map(String.init).joined(separator: ", ")
}

/// At most three decimals.
private func short(_ value: Double) -> String {
    let rounded = (value * 1000).rounded() / 1000
    return rounded == rounded.rounded() && abs(rounded) < 1e9 ? "\(Int(rounded))" : "\(rounded)"
}
