import Imaging

/// How well a predicted mask agrees with the reference, for the liver or for its lesions.
///
/// A score that is not defined is nil, `null` in JSON, and ``undefined`` says why. Source: METHOD, "Scores (LiTS)";
/// Bilic et al., The Liver Tumor Segmentation Benchmark (LiTS), Med. Image Anal. 84 (2023) 102680.
public struct RegionScores: Codable, Equatable, Sendable {
    /// 2 |P ∩ R| / (|P| + |R|), 0 to 1; 1 where both masks are empty.
    public let dice: Double?
    /// Volumetric overlap error: 1 - |P ∩ R| / |P ∪ R|, 0 to 1; 0 where both masks are empty.
    public let voe: Double?
    /// Relative volume difference as the LiTS paper has it: (|P| - |R|) / |R|; positive = predicted too large.
    public let rvd: Double?
    /// The same as LiTS's scoring program computes it: (|R| - |P|) / |P|; positive = predicted too small.
    public let rvdLiTSProgram: Double?
    /// Average symmetric surface distance in mm.
    public let assd: Double?
    /// Root mean square symmetric surface distance in mm.
    public let rmsd: Double?
    /// Maximum symmetric surface distance (Hausdorff) in mm.
    public let mssd: Double?
    /// For each score that is nil, by its name in JSON: a sentence that says why.
    public let undefined: [String: String]
    /// Volumes of the masks in ml.
    public let predictionMillilitres, referenceMillilitres: Double
    /// |P|, |R| and |P ∩ R|, in voxels: what Dice over a whole data set is made of.
    public let predictionVoxels, referenceVoxels, commonVoxels: Int

    /// The names in JSON.
    public enum CodingKeys: String, CodingKey {
        case dice, voe, rvd, undefined
        case rvdLiTSProgram = "rvd_lits_program"
        case assd = "assd_mm"
        case rmsd = "rmsd_mm"
        case mssd = "mssd_mm"
        case predictionMillilitres = "prediction_ml"
        case referenceMillilitres = "reference_ml"
        case predictionVoxels = "prediction_voxels"
        case referenceVoxels = "reference_voxels"
        case commonVoxels = "common_voxels"
    }

    /// Writes every score, `null` where it is not defined.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        for (key, score) in scores { try values.encode(score, forKey: key) }
        try values.encode(undefined, forKey: .undefined)
        try values.encode(predictionMillilitres, forKey: .predictionMillilitres)
        try values.encode(referenceMillilitres, forKey: .referenceMillilitres)
        try values.encode(predictionVoxels, forKey: .predictionVoxels)
        try values.encode(referenceVoxels, forKey: .referenceVoxels)
        try values.encode(commonVoxels, forKey: .commonVoxels)
    }

    /// The seven scores with their names.
    var scores: [(CodingKeys, Double?)] {
        [
            (.dice, dice), (.voe, voe), (.rvd, rvd), (.rvdLiTSProgram, rvdLiTSProgram), (.assd, assd), (.rmsd, rmsd),
            (.mssd, mssd),
        ]
    }
}

extension RegionScores {
    /// Scores from the counts, and from `surfaces`: all distances from each surface to the other, nil where there are
    /// none because a mask is empty.
    init(_ tally: Tally, surfaces: DistanceSums?, voxelMillilitres: Double, region: Region) {
        let (p, r, both) = (tally.prediction, tally.reference, tally.common)
        predictionVoxels = p
        referenceVoxels = r
        commonVoxels = both
        predictionMillilitres = Double(p) * voxelMillilitres
        referenceMillilitres = Double(r) * voxelMillilitres
        dice = diceCoefficient(prediction: p, reference: r, common: both)
        voe = p + r == 0 ? 0 : 1 - Double(both) / Double(p + r - both)
        if let surfaces, surfaces.count > 0 {
            rvd = Double(p - r) / Double(r)
            rvdLiTSProgram = Double(r - p) / Double(p)
            assd = surfaces.sum / Double(surfaces.count)
            rmsd = (surfaces.squares / Double(surfaces.count)).squareRoot()
            mssd = surfaces.largestSquare.squareRoot()
            undefined = [:]
        } else {
            let agreed: Double? = p + r == 0 ? 0 : nil
            (rvd, rvdLiTSProgram, assd, rmsd, mssd) = (agreed, agreed, agreed, agreed, agreed)
            undefined = agreed == nil ? RegionScores.reasons(missingInPrediction: p == 0, region) : [:]
        }
    }

    private static func reasons(missingInPrediction: Bool, _ region: Region) -> [String: String] {
        let what = region == .liver ? "liver" : "lesion"
        let (empty, full) = missingInPrediction ? ("prediction", "reference") : ("reference", "prediction")
        let start = "The \(empty) has no \(what) and the \(full) has one:"
        let distance = "\(start) there is no surface to measure a distance to."
        let volume = "\(start) their volumes cannot be compared as a ratio."
        return [
            CodingKeys.rvd.rawValue: volume, CodingKeys.rvdLiTSProgram.rawValue: volume,
            CodingKeys.assd.rawValue: distance, CodingKeys.rmsd.rawValue: distance, CodingKeys.mssd.rawValue: distance,
        ]
    }
}

/// 2 |P ∩ R| / (|P| + |R|); 1 where both are empty.
func diceCoefficient(prediction: Int, reference: Int, common: Int) -> Double {
    prediction + reference == 0 ? 1 : 2 * Double(common) / Double(prediction + reference)
}
