import Cases
import Digests
import Foundation
import Imaging
import Segmentation

/// What a result depends on, as one hash: a scan that was segmented before is not segmented again.
///
/// Of the scan it takes the voxels and the geometry, not the file: neither a name in the header nor the compression
/// counts.
package struct ContentKey {
    /// The hash, in hexadecimal digits.
    package let text: String

    /// - Parameters:
    ///   - voxelsSha256: of the scan's voxels as they are stored.
    ///   - owner: whose the job is. Nobody gets another's result, so that nobody learns whose scan was here.
    package init(
        _ header: NIfTIHeader, voxelsSha256: String, _ options: Segmenter.Options, segmenter: Segmenter, owner: String
    ) throws {
        var hash = ContentHash()
        hash.add(Data(header.meaning))
        let facts = [
            voxelsSha256, Hepar.version, segmenter.liverModel.sha256 ?? "", segmenter.lesionModel.sha256 ?? "",
            segmenter.algorithm.rawValue, String(decoding: try JSONEncoder.hepar.encode(options), as: UTF8.self),
            owner,
        ]
        hash.add(Data(facts.joined(separator: "\n").utf8))
        text = hash.hexadecimal()
    }
}
