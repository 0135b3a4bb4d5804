import Foundation

/// Doubts about an accepted scan: what ``inspectScan(at:limits:voxels:)`` refuses is not among them.
extension ScanSummary {
    /// What in the upload may spoil the result, geometry first; empty for an ordinary abdominal CT.
    ///
    /// Codes: `qform_invalid`, `forms_disagree`, `spacings_disagree`, `no_orientation`, `identity_affine`,
    /// `axes_not_orthogonal`, `pixels_not_square`, `pixel_spacing_unusual`, `slices_far_apart`, `slices_thick`,
    /// `few_slices`, `coverage_short`, `values_8_bit`, `values_not_hu`, `values_windowed`, `values_high`,
    /// `values_not_finite`, `padding_not_air`, `body_cut`.
    public var findings: [Finding] { header.geometryFindings + valueFindings }
}

extension NIfTIHeader {
    /// Doubts about where the voxels lie.
    fileprivate var geometryFindings: [Finding] { formFindings + axesFindings + gridFindings }

    /// Two ways to place the voxels that disagree, or none.
    private var formFindings: [Finding] {
        guard let fields = try? HeaderFields(recognising: bytes) else { return [] }
        let hasSform = fields.code(at: fields.layout.sformCode) > 0
        let hasQform = fields.code(at: fields.layout.qformCode) > 0
        var result: [Finding] = []
        if hasSform, hasQform {
            if let qform = try? fields.qform(spacing: fields.pixdim) {
                let apart = farthestCorner(storedAffine, qform)
                // Single precision and rounded rotations stay well below; a mirrored axis is hundreds of mm.
                if !(apart <= 0.1) {
                    let others = CanonicalAxes(of: qform).orientation
                    let axes = others == axes.orientation ? "" : " (axes \(axes.orientation) against \(others))"
                    result.add(
                        .warning, "forms_disagree",
                        """
                        The header's sform and qform place voxels up to \(short(apart)) mm apart\(axes). The sform is \
                        used here; make the qform equal to it, for other programs may use that.
                        """)
                }
            } else {
                result.add(
                    .warning, "qform_invalid",
                    """
                    The header's qform has code \(fields.code(at: fields.layout.qformCode)) but is no rotation. The \
                    sform is used here; set the qform's code to 0, for other programs may use it.
                    """)
            }
        } else if hasSform {
            let (used, other) = (storedAffine.spacing, fields.pixdim)
            // Also where the other is no number.
            if !(0..<3).allSatisfy({ abs(used[$0] - other[$0]) <= 0.01 * used[$0] }) {
                result.add(
                    .warning, "spacings_disagree",
                    """
                    The header's sform has voxels of \(millimetres(used)), its pixdim of \(millimetres(other)). The sform \
                    is used here; correct the one that is wrong, for all volumes depend on it.
                    """)
            }
        } else if !hasQform {
            result.add(
                .warning, "no_orientation",
                """
                The header has neither sform nor qform (both codes are 0). The axes are taken as Right, Anterior, \
                Superior; check that left and right are not exchanged, or convert the scan again.
                """)
        }
        let unit = Affine(x: SIMD3(1, 0, 0), y: SIMD3(0, 1, 0), z: SIMD3(0, 0, 1), origin: .zero)
        if storedAffine == unit {
            result.add(
                .warning, "identity_affine",
                """
                The header's map is the identity: voxels of 1 x 1 x 1 mm with the first at 0, 0, 0. Its geometry was \
                probably lost, then every volume is wrong; convert the scan again from DICOM.
                """)
        }
        return result
    }

    private var axesFindings: [Finding] {
        let directions = (0..<3).map { storedAffine[$0] / length(storedAffine[$0]) }
        let sines = [(0, 1), (0, 2), (1, 2)].map { abs((directions[$0] * directions[$1]).sum()) }
        let degrees = sines.map { asin(min(1, $0)) * 180 / .pi }.max() ?? 0
        var result: [Finding] = []
        if degrees > 0.5 {
            result.add(
                .warning, "axes_not_orthogonal",
                """
                The axes of the voxels are \(short(degrees)) degrees off a right angle (a tilted gantry?). Diameters \
                and distances are computed as if they were at right angles; resample the scan to a straight grid.
                """)
        }
        return result
    }

    /// Doubts about spacing and extent.
    private var gridFindings: [Finding] {
        var result: [Finding] = []
        let slices = shape.z
        let (x, y, z) = (spacing.x, spacing.y, spacing.z)
        if max(x, y) > 1.01 * min(x, y) {
            result.add(
                .warning, "pixels_not_square",
                """
                The pixels of the axial slices are \(short(x)) x \(short(y)) mm; a CT's are square. Check the spacing, and \
                which axis is the patient's long one.
                """)
        }
        let usual = 0.3...2.5
        if !usual.contains(x) || !usual.contains(y) {
            result.add(
                .warning, "pixel_spacing_unusual",
                """
                The pixels of the axial slices are \(short(x)) x \(short(y)) mm; 0.3 to 2.5 mm are usual. Check the \
                spacing, for all volumes depend on it.
                """)
        }
        if z > 10 {
            result.add(
                .warning, "slices_far_apart",
                """
                The slices are \(short(z)) mm apart: smaller lesions may be missed and volumes are coarse. Send a \
                reconstruction with thinner slices if there is one.
                """)
        } else if z > 5 {
            result.add(
                .info, "slices_thick",
                "The slices are \(short(z)) mm apart: smaller lesions may be missed. At most 5 mm are better.")
        }
        if slices < 10 {
            result.add(
                .warning, "few_slices",
                "The scan has \(slices) slices; at least 10 are expected. Send the whole series.")
        }
        let height = Double(slices) * z
        if height < 80 {
            result.add(
                .warning, "coverage_short",
                """
                The scan is \(short(height)) mm high; a liver takes 100 to 250 mm. Send the whole series, or read the \
                volumes as those of a part.
                """)
        }
        return result
    }

    /// The largest distance, in mm, between the places that two maps give to a corner of the stored grid.
    private func farthestCorner(_ one: Affine, _ other: Affine) -> Double {
        (0..<8).map { corner in
            let position = (0..<3).map { corner >> $0 & 1 == 1 ? Double(storedShape[$0] - 1) : 0 }
            let place = SIMD3(position[0], position[1], position[2])
            return length(one(place) - other(place))
        }.max() ?? 0
    }
}

extension ScanSummary {
    /// Doubts about whether the values are Hounsfield units, and of what.
    fileprivate var valueFindings: [Finding] {
        var result: [Finding] = []
        let (low, high) = (short(minimum), short(maximum))
        if minimum >= 0, maximum <= 255 {
            result.add(
                .error, "values_8_bit",
                """
                The values run from \(low) to \(high): grey levels of a picture or labels of a mask, not Hounsfield units. \
                Send the CT itself, converted from DICOM without a window.
                """)
        } else if minimum >= 0 {
            result.add(
                .error, "values_not_hu",
                """
                The values run from \(low) to \(high), and none is below 0: the rescale intercept (most often -1024) was \
                probably lost. Convert the scan again, or set scl_inter.
                """)
        } else if minimum > -500 {
            result.add(
                .warning, "values_windowed",
                """
                The values run from \(low) to \(high) HU, without air (-1000 HU): the scan was windowed or closely cropped. \
                Send the scan with its full range.
                """)
        }
        if maximum > 5000 {
            result.add(
                .info, "values_high",
                """
                The highest value is \(high) HU; bone ends at about 3000. Unless there is metal in the patient, check \
                scl_slope and scl_inter.
                """)
        }
        if nonFinite > 0 {
            result.add(
                .warning, "values_not_finite",
                """
                \(nonFinite) voxels are infinite or not a number; they are taken as air (-1024 HU). Check how the scan was \
                converted.
                """)
        }
        // Without air among the values, or with 0 in its place, the share of tissue at the sides says nothing.
        let zeroShare = Double(zeros) / Double(header.shape.count)
        if minimum < 0, zeroShare > 0.1 {
            result.add(
                .warning, "padding_not_air",
                """
                \(percent(zeroShare)) of the voxels are exactly 0 HU: the scan was probably padded or resampled with 0, \
                which is water. Pad it with -1024.
                """)
        } else if minimum <= -500, tissueAtSides > 0.1 {
            result.add(
                .info, "body_cut",
                """
                \(percent(tissueAtSides)) of the voxels at the slices' edges are tissue: the field of view cuts the body. \
                Check that the whole liver is inside.
                """)
        }
        return result
    }
}

extension [Finding] {
    fileprivate mutating func add(_ severity: Finding.Severity, _ code: String, _ message: String) {
        append(Finding(code: code, severity: severity, message: message))
    }
}

/// At most two decimals: these numbers are read, not computed with.
private func short(_ value: Double) -> String { plain((value * 100).rounded() / 100) }

private func percent(_ share: Double) -> String { "\(Int((share * 100).rounded())) %" }

private func millimetres(_ spacing: SIMD3<Double>) -> String {
    "\(short(spacing.x)) x \(short(spacing.y)) x \(short(spacing.z)) mm"
}
