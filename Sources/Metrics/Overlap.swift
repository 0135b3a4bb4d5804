package import Compute
package import Imaging

/// Dice of liver and lesion alone, for those who need no surfaces: 1 where both masks are empty.
///
/// - Parameters:
///   - prediction: ``Label`` values; of the reference's shape (a precondition).
///   - reference: ``Label`` values.
package func overlap(
    prediction: Volume<UInt8>, reference: Volume<UInt8>, team: ThreadTeam
) -> (liver: Double, lesion: Double) {
    precondition(prediction.shape == reference.shape, "scores need two maps of one shape")
    let counts = tally(prediction: prediction, reference: reference, team: team)
    func dice(_ tally: Tally) -> Double {
        diceCoefficient(prediction: tally.prediction, reference: tally.reference, common: tally.common)
    }
    return (dice(counts.liver), dice(counts.lesion))
}
