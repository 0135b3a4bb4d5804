import Foundation

@testable import Cases

extension Report {
    /// Sixty-four hexadecimal digits that stand for every hash of ``sample(lesions:modelName:)``.
    static let sampleHash = String(repeating: "ab", count: 32)

    /// A report as a job leaves it, with one lesion or none.
    static func sample(lesions: Bool = true, modelName: String = "default") throws -> Report {
        let lesion = """
            {"number": 1, "volume_ml": 21.456, "longest_axial_diameter_mm": 38.25, "short_axis_mm": 30.5,
             "centroid_ras_mm": [61.2, -12.6, 104.4], "first_slice": 33, "last_slice": 41, "diameter_slice": 37,
             "largest_probability": 0.998, "mean_probability": 0.91, "size_class": "above_20_mm",
             "density": {"mean_hu": 61.4, "median_hu": 58, "deviation_hu": 17.2, "voxels": 900}}
            """
        let facts = "{\"width\": 16, \"window_hu\": [-160, 240], \"sha256\": \"\(sampleHash)\"}"
        let json = """
            {"hepar_version": "0.1.0", "model": {"name": "\(modelName)", "liver": \(facts), "lesion": \(facts)},
             "input": {"shape": [512, 512, 61], "spacing_mm": [0.78125, 0.78125, 2.5]},
             "options": {"full": true, "probabilities": false}, "liver_volume_ml": \(lesions ? 1534.4 : 0),
             "lesion_volume_ml": \(lesions ? 21.456 : 0), "tumour_burden": \(lesions ? "0.01398" : "null"),
             "liver_density": \(lesions ? #"{"mean_hu": 104.44, "median_hu": 105, "deviation_hu": 18.26, "voxels": 9}"# : "null"),
             "lesions": [\(lesions ? lesion : "")], "dropped": [], "dropped_count": \(lesions ? 4 : 0), "findings": [],
             "needs_review": true, "timings_ms": {"total": 12345},
             "provenance": {"statement": {"hepar_version": "0.1.0", "input_sha256": "\(sampleHash)",
              "liver_model_sha256": "\(sampleHash)", "lesion_model_sha256": "\(sampleHash)",
              "mask_sha256": "cd\(sampleHash)", "options": {"full": true, "probabilities": false}},
              "public_key": "a2V5", "signature": "c2lnbmF0dXJl"}}
            """
        return try JSONDecoder().decode(Report.self, from: Data(json.utf8))
    }
}
