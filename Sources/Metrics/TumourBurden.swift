/// Which share of the liver is lesion: volume of label 2 over volume of labels 1 and 2.
public struct TumourBurden: Codable, Equatable, Sendable {
    /// Share in the prediction and in the reference, 0 to 1; nil where that liver is empty.
    public let prediction, reference: Double?
    /// Reference minus prediction; nil where one of them is.
    public let difference: Double?
    /// For each number that is nil, by its name in JSON: a sentence that says why.
    public let undefined: [String: String]

    /// From what liver and lesion scores counted.
    init(liver: RegionScores, lesion: RegionScores) {
        func share(_ lesion: Int, _ liver: Int) -> Double? { liver == 0 ? nil : Double(lesion) / Double(liver) }
        prediction = share(lesion.predictionVoxels, liver.predictionVoxels)
        reference = share(lesion.referenceVoxels, liver.referenceVoxels)
        var reasons: [String: String] = [:]
        if prediction == nil { reasons["prediction"] = "The prediction has no liver." }
        if reference == nil { reasons["reference"] = "The reference has no liver." }
        if let prediction, let reference {
            difference = reference - prediction
        } else {
            difference = nil
            reasons["difference"] =
                prediction == nil && reference == nil
                ? "Neither the prediction nor the reference has a liver."
                : "The \(prediction == nil ? "prediction" : "reference") has no liver."
        }
        undefined = reasons
    }

    /// Writes every number, `null` where it is not defined.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(prediction, forKey: .prediction)
        try values.encode(reference, forKey: .reference)
        try values.encode(difference, forKey: .difference)
        try values.encode(undefined, forKey: .undefined)
    }
}
