package import Compute
package import Imaging
package import Inference

// The stages one by one, as the cascade runs them: a network in training is judged by them.

/// Stage 1 alone: the largest component of what the network calls liver.
///
/// - Parameters:
///   - volume: HU at the model's spacing.
///   - every: runs every `every`-th slice only, from the first.
///   - progress: called between slices; what it throws ends the run.
/// - Returns: ``Label/liver`` or 0, for the slices that were run.
package func findLiver(
    in volume: Volume<Float>, every: Int, network: Network, metadata: ModelMetadata, team: ThreadTeam,
    progress: (_ done: Int) throws -> Void
) throws -> Volume<UInt8> {
    var mask = try liverMask(
        volume, every: every, networks: StageNetworks(network, metadata: metadata), team: team, progress: progress)
    let components = connectedComponents(of: mask, where: { $0 != 0 }, team: team)
    let kept = indexOfLargest(components)
    for (index, component) in components.enumerated() where index != kept {
        mask.fill(component, with: Label.background)
    }
    return mask
}

/// Stage 2 alone, with its rules: labels of a box of the CT, on the box's own grid.
///
/// - Parameters:
///   - volume: HU at the CT's own resolution.
///   - every: runs every `every`-th slice of the box only, from its first.
///   - progress: called between slices; what it throws ends the run.
package func findLesions(
    in volume: Volume<Float>, box: Box, every: Int, network: Network, metadata: ModelMetadata, team: ThreadTeam,
    progress: (_ done: Int) throws -> Void
) throws -> Volume<UInt8> {
    let answer = try lesionStage(
        volume, region: LiverRegion(box: box), every: every, networks: StageNetworks(network, metadata: metadata),
        team: team, progress: progress)
    return applyRules(answer, threshold: Segmenter.lesionThreshold, team: team).labels
}

/// The box in which stage 2 would look if stage 1 were right: that of the reference's largest liver component, grown in
/// x and y. Nil if the reference has no liver.
package func liverBox(ofReference labels: Volume<UInt8>, team: ThreadTeam) -> Box? {
    let livers = connectedComponents(of: labels, where: { $0 >= Label.liver }, team: team)
    return indexOfLargest(livers).flatMap {
        LiverRegion(
            around: livers[$0], coarse: labels.shape, coarseSpacing: labels.spacing, shape: labels.shape,
            spacing: labels.spacing, margin: Segmenter.margin, reach: 0, team: team)?.box
    }
}

/// What a network says of every `every`-th slice of a box, before any rule: ``Label`` values, in stage liver without
/// ``Label/lesion``.
package func classes(
    of volume: Volume<Float>, in box: Box, every: Int, network: Network, metadata: ModelMetadata, team: ThreadTeam
) throws -> Volume<UInt8> {
    let networks = StageNetworks(network, metadata: metadata)
    if metadata.stage == .lesion {
        return try lesionStage(
            volume, region: LiverRegion(box: box), every: every, networks: networks, team: team, progress: { _ in }
        ).labels
    }
    return try liverMask(volume, every: every, networks: networks, team: team, progress: { _ in })
}
