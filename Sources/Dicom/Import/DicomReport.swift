public import Imaging

/// The contrast phase of a scan, guessed from the series' description and the delay after the injection.
public enum ContrastPhase: String, Codable, CaseIterable, Sendable {
    case native, arterial
    case portalVenous = "portal_venous"
    case delayed, unknown
}

/// How a file's pixels are encoded.
public enum TransferSyntax: String, Codable, CaseIterable, Sendable {
    case implicitLittleEndian = "implicit_little_endian"
    case explicitLittleEndian = "explicit_little_endian"
    case explicitBigEndian = "explicit_big_endian"
    case deflated, rle
    case jpegBaseline = "jpeg_baseline"
    case jpegExtended = "jpeg_extended"
    case jpegLossless = "jpeg_lossless"
    case jpegLS = "jpeg_ls"
    case jpegLSNearLossless = "jpeg_ls_near_lossless"
    case jpeg2000Lossless = "jpeg_2000_lossless"
    case jpeg2000 = "jpeg_2000"
    case htj2kLossless = "htj2k_lossless"
    case htj2k
    case other

    /// Whether voxels may differ from what the scanner made.
    var isLossy: Bool {
        switch self {
        case .jpegBaseline, .jpegExtended, .jpegLSNearLossless, .jpeg2000, .htj2k: true
        default: false
        }
    }

    init(uid: String) {
        self =
            switch uid {
            case "1.2.840.10008.1.2": .implicitLittleEndian
            case "1.2.840.10008.1.2.1": .explicitLittleEndian
            case "1.2.840.10008.1.2.1.99": .deflated
            case "1.2.840.10008.1.2.2": .explicitBigEndian
            case "1.2.840.10008.1.2.5": .rle
            case "1.2.840.10008.1.2.4.50": .jpegBaseline
            case "1.2.840.10008.1.2.4.51": .jpegExtended
            case "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70": .jpegLossless
            case "1.2.840.10008.1.2.4.80": .jpegLS
            case "1.2.840.10008.1.2.4.81": .jpegLSNearLossless
            case "1.2.840.10008.1.2.4.90": .jpeg2000Lossless
            case "1.2.840.10008.1.2.4.91": .jpeg2000
            case "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202": .htj2kLossless
            case "1.2.840.10008.1.2.4.203": .htj2k
            default: .other
            }
    }
}

/// Why a file is no slice of a CT volume.
public enum LeftOutReason: String, Codable, CaseIterable, Sendable {
    case emptyFile = "empty_file"
    case notDicom = "not_dicom"
    case damaged
    /// A zip within a zip: a viewer's program or a document on a patient's disc.
    case archive
    case directory
    case notCT = "not_ct"
    case localizer
    case secondaryCapture = "secondary_capture"
    case noPixels = "no_pixels"
    case noPosition = "no_position"
}

/// The plane that slices are nearest to.
public enum Plane: String, Codable, Sendable {
    case axial, coronal, sagittal
}

/// What a DICOM import found, without a word about the patient. JSON: snake_case.
public struct DicomReport: Codable, Equatable, Sendable {
    /// One volume that the files hold.
    public struct Volume: Codable, Equatable, Sendable {
        /// From 1, in the order of series and acquisition.
        public let number: Int
        /// Whose it is: patients and studies of the files, counted from 1. Like all below that may be nil, nil in reports of
        /// versions that did not tell it.
        public let patient, study: Int?
        /// SeriesNumber, where the files have one.
        public let seriesNumber: Int?
        /// AcquisitionNumber, where all slices have the same.
        public let acquisitionNumber: Int?
        /// AcquisitionNumbers, the lowest 20, where slices have several.
        public let acquisitionNumbers: [Int]?
        /// Measured or computed, and of what.
        public let image: ImageKind?
        /// For which tissue it was reconstructed.
        public let kernel: KernelKind?
        /// The plane of its slices.
        public let plane: Plane?
        /// The phase, guessed.
        public let phase: ContrastPhase
        /// Slices, doubled ones not counted.
        public let slices: Int
        /// Voxels of a slice.
        public let rows, columns: Int
        /// Spacing in mm between columns, rows and slices; without a last one where slices are not even.
        public let spacingMm: [Double]
        /// How the first slice is encoded.
        public let transferSyntax: TransferSyntax
        /// Whether this is the volume that was written.
        public var taken: Bool
        /// Why it cannot be taken; nil where it could.
        public let refusal: Refusal?

        enum CodingKeys: String, CodingKey {
            case number, patient, study, image, kernel, plane, phase, slices, rows, columns, taken, refusal
            case acquisitionNumbers = "acquisition_numbers"
            case seriesNumber = "series_number"
            case acquisitionNumber = "acquisition_number"
            case spacingMm = "spacing_mm"
            case transferSyntax = "transfer_syntax"
        }
    }

    /// Why a volume cannot be taken.
    public struct Refusal: Codable, Equatable, Sendable {
        /// That of a ``DicomError``.
        public let code: String
        /// A sentence with the numbers found.
        public let message: String
    }

    /// Files that are no slice of a CT volume.
    public struct LeftOut: Codable, Equatable, Sendable {
        /// Why.
        public let reason: LeftOutReason
        /// How many files.
        public let files: Int
    }

    /// Something that the import changed or that may matter for the result.
    public struct Finding: Codable, Equatable, Sendable {
        /// A name for programs.
        public let code: String
        /// How much it matters; a warning in reports of versions that did not tell it.
        public let severity: Imaging.Finding.Severity
        /// A sentence for people.
        public let message: String
        /// How many slices, voxels or volumes it concerns.
        public let count: Int

        init(_ severity: Imaging.Finding.Severity, _ code: String, count: Int, _ message: String) {
            self.code = code
            self.severity = severity
            self.message = message
            self.count = count
        }

        /// Reads a finding, also of a version without severities.
        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            code = try values.decode(String.self, forKey: .code)
            severity = try values.decodeIfPresent(Imaging.Finding.Severity.self, forKey: .severity) ?? .warning
            message = try values.decode(String.self, forKey: .message)
            count = try values.decode(Int.self, forKey: .count)
        }
    }

    /// What a DICOM object made from the result must refer to.
    public struct UIDs: Codable, Equatable, Sendable {
        /// StudyInstanceUID; nil where the slices have none, or not all the same.
        public let study: String?
        /// SeriesInstanceUID; nil as ``study``.
        public let series: String?
        /// FrameOfReferenceUID; nil as ``study``.
        public let frameOfReference: String?
        /// SOPInstanceUID of each slice in the order of the written volume's third axis; "" where a slice has none.
        public let instances: [String]
        /// SOPClassUID of the slices; nil where they have none or not all the same, or in reports of versions that did not tell it.
        public let sopClass: String?
        /// Unit directions of a row and of a column, LPS: six numbers; nil in reports of versions that did not tell it.
        public let orientation: [Double]?
        /// Where each slice lies, in the order of ``instances``; nil in reports of versions that did not tell it.
        public let slices: [Slice]?

        /// Where a slice lies.
        public struct Slice: Codable, Equatable, Sendable {
            /// The centre of its first voxel, LPS millimetres: x, y, z.
            public let position: [Double]
            /// Which of its instance's frames it is, from 1; nil where it is all that the instance has.
            public let frame: Int?
        }

        enum CodingKeys: String, CodingKey {
            case study, series, instances, orientation, slices
            case frameOfReference = "frame_of_reference"
            case sopClass = "sop_class"
        }
    }

    /// Files looked at, zip entries included.
    public let files: Int
    /// The volumes found, at most 200 of them.
    public let volumes: [Volume]
    /// Files that are no slice, by reason.
    public let leftOut: [LeftOut]
    /// What was changed or may matter.
    public let findings: [Finding]
    /// Only if asked for.
    public let uids: UIDs?
    /// What people call the slices of the written volume.
    public var slices: SliceNames?

    enum CodingKeys: String, CodingKey {
        case files, volumes, findings, uids, slices
        case leftOut = "left_out"
    }

    /// What a viewer calls each slice, in the order of the written volume's third axis.
    public struct SliceNames: Codable, Equatable, Sendable {
        /// InstanceNumber, or the frame's number in an image of several, from 1; nil where a slice has none.
        public let instanceNumbers: [Int?]
        /// SliceLocation in mm; nil where a slice has none.
        public let locationsMm: [Double?]

        enum CodingKeys: String, CodingKey {
            case instanceNumbers = "instance_numbers"
            case locationsMm = "locations_mm"
        }
    }
}
