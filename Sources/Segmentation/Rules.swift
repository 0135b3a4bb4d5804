import Compute
import Imaging

/// What the rules of METHOD.md, steps 6 to 8, made of stage 2's answer.
struct RuledResult {
    /// The final labels, on the box's grid.
    var labels: Volume<UInt8>
    /// The lesions kept, largest first, and those dropped.
    var lesions: [(component: Component, measures: ComponentMeasures)]
    var dropped: [(component: Component, measures: ComponentMeasures, reason: DroppedComponent.Reason)]
    /// The liver that was kept, lesions included; nil if there is none.
    var liver: Component?
    /// Voxels of each component of liver (with lesions) that was left out.
    var otherLiverVoxels: [Int] = []
}

/// Keeps the largest liver component (lesions count as liver), and in it the lesions with a voxel of at least
/// `threshold` probability; other lesions inside it become liver, everything outside it background.
func applyRules(_ result: consuming LesionStageResult, threshold: Double, team: ThreadTeam) -> RuledResult {
    var labels = result.labels
    let probabilities = result.lesionProbabilities
    let livers = connectedComponents(of: labels, where: { $0 >= Label.liver }, team: team)
    let candidates = connectedComponents(of: labels, where: { $0 == Label.lesion }, team: team)
    guard let kept = indexOfLargest(livers) else {
        return RuledResult(labels: labels, lesions: [], dropped: [])
    }
    for (index, liver) in livers.enumerated() where index != kept {
        labels.fill(liver, with: Label.background)
    }
    var lesions: [(component: Component, measures: ComponentMeasures)] = []
    var dropped: [(component: Component, measures: ComponentMeasures, reason: DroppedComponent.Reason)] = []
    for candidate in candidates {
        let measures = measure(candidate, probabilities: probabilities)
        let first = candidate.runs[0]
        if labels[Int(first.xStart), Int(first.y), Int(first.z)] == Label.background {
            dropped.append((candidate, measures, .outsideLiver))
        } else if measures.largestProbability < threshold {
            labels.fill(candidate, with: Label.liver)
            dropped.append((candidate, measures, .lowProbability))
        } else {
            lesions.append((candidate, measures))
        }
    }
    for index in lesions.indices {
        let longest = longestAxialDiameter(of: lesions[index].component, spacing: labels.spacing)
        lesions[index].measures.diameters = longest.diameters
        lesions[index].measures.diameterSlice = longest.slice
    }
    lesions.sort { $0.component.voxelCount > $1.component.voxelCount }
    dropped.sort { $0.component.voxelCount > $1.component.voxelCount }
    return RuledResult(
        labels: labels, lesions: lesions, dropped: dropped, liver: livers[kept],
        otherLiverVoxels: livers.indices.filter { $0 != kept }.map { livers[$0].voxelCount })
}

/// The component of most voxels; of equals, the first in scan order.
func indexOfLargest(_ components: [Component]) -> Int? {
    components.indices.max {
        (components[$0].voxelCount, -$0) < (components[$1].voxelCount, -$1)
    }
}

extension Volume<UInt8> {
    /// Sets every voxel of a component.
    mutating func fill(_ component: Component, with value: UInt8) {
        let shape = shape
        voxels.withUnsafeMutableBufferPointer { voxels in
            for run in component.runs {
                let start = shape.index(Int(run.xStart), Int(run.y), Int(run.z))
                for index in start..<start + Int(run.xEnd - run.xStart) { voxels[index] = value }
            }
        }
    }
}
