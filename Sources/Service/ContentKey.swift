import Digests
import Foundation
import Imaging
import Segmentation

/// What a result depends on, as one hash: a scan that was segmented before is not segmented again.
///
/// Of the scan it takes the voxels and the geometry, not the file: neither a name in the header nor the compression
/// counts.
struct ContentKey {
    private var voxels = ContentHash()

    /// Takes the scan's voxels, piece by piece.
    mutating func add(_ bytes: UnsafeRawBufferPointer) { voxels.add(bytes) }

    /// The hash of all.
    ///
    /// - Parameter owner: whose the job is. Nobody gets another's result, so that nobody learns whose scan was here.
    func text(_ header: NIfTIHeader, _ options: Segmenter.Options, segmenter: Segmenter, owner: String) throws
        -> String
    {
        var hash = ContentHash()
        hash.add(Data(header.meaning))
        let facts = [
            voxels.hexadecimal(), Hepar.version, segmenter.liverModel.sha256 ?? "", segmenter.lesionModel.sha256 ?? "",
            segmenter.algorithm.rawValue, String(decoding: try JSONEncoder.hepar.encode(options), as: UTF8.self),
            owner,
        ]
        hash.add(Data(facts.joined(separator: "\n").utf8))
        return hash.hexadecimal()
    }
}
