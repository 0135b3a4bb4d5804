import Foundation
import Segmentation

extension Segmenter.Options {
    /// The names of the options, as clients write them.
    private static let names = ["full", "probabilities"]

    /// Reads `{"full": true}`; an unknown key is refused, for it is most often a spelling error.
    init(field data: Data) throws(Problem) {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw Problem(422, "bad_options", "The field \"options\" is not a JSON object such as {\"full\": false}.")
        }
        if let unknown = object.keys.sorted().first(where: { !Self.names.contains($0) }) {
            let known = Self.names.joined(separator: ", ")
            throw Problem(
                422, "bad_options", "The option \"\(unknown.prefix(40))\" is not known. There are: \(known).")
        }
        guard let options = try? JSONDecoder().decode(Segmenter.Options.self, from: data) else {
            throw Problem(422, "bad_options", "Each option must be true or false.")
        }
        self = options
    }
}
