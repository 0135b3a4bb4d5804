public import Compute
public import Imaging

/// All scores of one case: a predicted label map against its reference.
public struct CaseScores: Codable, Equatable, Sendable {
    /// Label 1 or more.
    public let liver: RegionScores
    /// Label 2.
    public let lesion: RegionScores
    /// Lesion by lesion.
    public let detection: Detection
    /// Lesion volume over liver volume.
    public let tumourBurden: TumourBurden

    /// The names in JSON.
    public enum CodingKeys: String, CodingKey {
        case liver, lesion, detection
        case tumourBurden = "tumour_burden"
    }
}

extension CaseScores {
    /// Whether two maps of at most so many voxels could have these scores: what another process says is to be held
    /// against it before it is computed with.
    public func isPossible(voxels: Int) -> Bool {
        let regions = [liver, lesion], counts = 0...voxels
        return regions.allSatisfy { $0.isPossible(voxels: counts) } && detection.isPossible(voxels: counts)
            && [tumourBurden.prediction, tumourBurden.reference].allSatisfy { $0.map { (0...1).contains($0) } ?? true }
            && (tumourBurden.difference.map { (-1...1).contains($0) } ?? true) && tumourBurden.undefined.count <= 3
    }
}

extension RegionScores {
    fileprivate func isPossible(voxels: ClosedRange<Int>) -> Bool {
        [predictionVoxels, referenceVoxels, commonVoxels].allSatisfy(voxels.contains)
            && commonVoxels <= min(predictionVoxels, referenceVoxels)
            && [predictionMillilitres, referenceMillilitres].allSatisfy { $0.isFinite && $0 >= 0 }
            && [dice, voe].allSatisfy { $0.map { (0...1).contains($0) } ?? true }
            && [rvd, rvdLiTSProgram, assd, rmsd, mssd].allSatisfy { $0?.isFinite ?? true }
            && undefined.count <= scores.count
    }
}

extension Detection {
    fileprivate func isPossible(voxels: ClosedRange<Int>) -> Bool {
        voxels.contains(predictionLesions) && voxels.contains(referenceLesions)
            && [overHalf, overZero].allSatisfy { rule in
                (0...predictionLesions).contains(rule.truePredictions)
                    && (0...referenceLesions).contains(rule.foundReferences)
                    && [rule.precision, rule.recall].allSatisfy { $0.map { (0...1).contains($0) } ?? true }
                    && rule.undefined.count <= 2
            }
    }
}

/// Scores a predicted label map against its reference.
///
/// Surfaces and distances are looked for only in the smallest box around both masks.
///
/// Against MedPy 0.5.2 (`medpy.metric.binary`): `dc`, 1 - `jc`, `ravd` (= ``RegionScores/rvd``), and with
/// `connectivity=2` `assd` and `hd` too, agree to 1e-12 on masks of LiTS cases. By default (`connectivity=1`) MedPy's
/// surface asks only the 6 neighbours that share a face: it is thinner, and mean distances come out larger. MedPy
/// throws where a mask is empty.
///
/// - Parameters:
///   - prediction: ``Label`` values; of the reference's shape (a precondition: the caller compares grids first).
///   - reference: ``Label`` values; its spacing, in mm, is the one that counts.
///   - team: the threads that do the work; their number changes no bit of the result.
/// - Returns: the scores of METHOD, "Scores (LiTS)".
public func score(prediction: Volume<UInt8>, reference: Volume<UInt8>, team: ThreadTeam) -> CaseScores {
    precondition(prediction.shape == reference.shape, "scores need two maps of one shape")
    let counts = tally(prediction: prediction, reference: reference, team: team)
    func scores(_ region: Region, _ tally: Tally) -> RegionScores {
        let surfaces = surfaceDistances(prediction, reference, region: region, tally: tally, team: team)
        return RegionScores(
            tally, surfaces: surfaces, voxelMillilitres: reference.voxelMillilitres, region: region)
    }
    let liver = scores(.liver, counts.liver)
    let lesion = scores(.lesion, counts.lesion)
    return CaseScores(
        liver: liver, lesion: lesion, detection: Detection(prediction: prediction, reference: reference, team: team),
        tumourBurden: TumourBurden(liver: liver, lesion: lesion))
}

/// All distances from each mask's surface to the other's; nil where a mask is empty.
private func surfaceDistances(
    _ prediction: Volume<UInt8>, _ reference: Volume<UInt8>, region: Region, tally: Tally, team: ThreadTeam
) -> DistanceSums? {
    guard tally.prediction > 0, tally.reference > 0, let box = tally.box else { return nil }
    let predicted = BitMask(prediction, region: region, box: box, team: team).surface(team: team)
    let actual = BitMask(reference, region: region, box: box, team: team).surface(team: team)
    var sums = distances(from: predicted, to: actual, spacing: reference.spacing, team: team)
    sums.add(distances(from: actual, to: predicted, spacing: reference.spacing, team: team))
    return sums
}
