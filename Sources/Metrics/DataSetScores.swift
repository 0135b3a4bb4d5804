/// Scores over a data set: mean and deviation of each score over the cases in which it is defined, and Dice over all voxels.
public struct DataSetScores: Codable, Equatable, Sendable {
    /// How many cases there are.
    public let cases: Int
    /// Label 1 or more, and label 2.
    public let liver, lesion: Region
    /// Lesions of all cases together.
    public let detection: Detection
    /// The differences of the tumour burden, reference minus prediction, without their signs.
    public let tumourBurdenError: Mean

    /// A mean over cases, and how far they lie apart.
    public struct Mean: Codable, Equatable, Sendable {
        /// The mean; nil, `null` in JSON, where no case has the score.
        public let mean: Double?
        /// Standard deviation of the cases as a sample of more, dividing by one less than their number; nil below two.
        public let deviation: Double?
        /// In how many cases the score is defined.
        public let cases: Int

        /// The mean of those values that are not nil.
        init(_ values: [Double?]) {
            let defined = values.compactMap { $0 }
            cases = defined.count
            let middle = defined.reduce(0, +) / Double(max(1, defined.count))
            mean = defined.isEmpty ? nil : middle
            let squares = defined.reduce(0) { $0 + ($1 - middle) * ($1 - middle) }
            deviation = defined.count < 2 ? nil : (squares / Double(defined.count - 1)).squareRoot()
        }

        /// Writes mean and deviation, `null` where there is none.
        public func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(mean, forKey: .mean)
            try values.encode(deviation, forKey: .deviation)
            try values.encode(cases, forKey: .cases)
        }
    }

    /// Means of ``RegionScores`` over cases.
    public struct Region: Codable, Equatable, Sendable {
        /// Means per case; distances in mm.
        public let dice, voe, rvd, rvdLiTSProgram, assd, rmsd, mssd: Mean
        /// 2 Σ|P ∩ R| / (Σ|P| + Σ|R|) over the voxels of all cases; 1 where all masks are empty.
        public let diceGlobal: Double

        /// The names in JSON.
        public enum CodingKeys: String, CodingKey {
            case dice, voe, rvd
            case rvdLiTSProgram = "rvd_lits_program"
            case assd = "assd_mm"
            case rmsd = "rmsd_mm"
            case mssd = "mssd_mm"
            case diceGlobal = "dice_global"
        }

        /// Means over these cases.
        init(_ cases: [RegionScores]) {
            dice = Mean(cases.map(\.dice))
            voe = Mean(cases.map(\.voe))
            rvd = Mean(cases.map(\.rvd))
            rvdLiTSProgram = Mean(cases.map(\.rvdLiTSProgram))
            assd = Mean(cases.map(\.assd))
            rmsd = Mean(cases.map(\.rmsd))
            mssd = Mean(cases.map(\.mssd))
            diceGlobal = diceCoefficient(
                prediction: cases.reduce(0) { $0 + $1.predictionVoxels },
                reference: cases.reduce(0) { $0 + $1.referenceVoxels },
                common: cases.reduce(0) { $0 + $1.commonVoxels })
        }
    }

    /// The names in JSON.
    public enum CodingKeys: String, CodingKey {
        case cases, liver, lesion, detection
        case tumourBurdenError = "tumour_burden_absolute_difference"
    }

    /// Sums up the given cases.
    public init(_ cases: [CaseScores]) {
        self.cases = cases.count
        liver = Region(cases.map(\.liver))
        lesion = Region(cases.map(\.lesion))
        detection = Detection(sumOf: cases.map(\.detection))
        tumourBurdenError = Mean(cases.map { $0.tumourBurden.difference.map(abs) })
    }
}

extension Detection {
    /// The lesions of all cases together.
    init(sumOf cases: [Detection]) {
        let predictions = cases.reduce(0) { $0 + $1.predictionLesions }
        let references = cases.reduce(0) { $0 + $1.referenceLesions }
        func sum(_ rule: KeyPath<Detection, Matches>) -> Matches {
            Matches(
                truePredictions: cases.reduce(0) { $0 + $1[keyPath: rule].truePredictions }, of: predictions,
                foundReferences: cases.reduce(0) { $0 + $1[keyPath: rule].foundReferences }, of: references)
        }
        predictionLesions = predictions
        referenceLesions = references
        overHalf = sum(\.overHalf)
        overZero = sum(\.overZero)
    }
}
