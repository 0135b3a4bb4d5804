import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct DistancesTests {
    static let spacings = [SIMD3(1.0, 1, 1), SIMD3(0.7, 0.8, 2.5), SIMD3(3.0, 0.31, 0.05)]

    @Test(arguments: [0.002, 0.02, 0.3, 0.97], spacings)
    func theyAreThoseOfBruteForce(share: Double, spacing: SIMD3<Double>) {
        var random = SplitMix64(seed: UInt64(share * 1000))
        for shape in [Shape(19, 13, 11), Shape(1, 17, 8), Shape(9, 1, 9), Shape(30, 20, 1), Shape(8, 8, 8)] {
            let mask = Volume<UInt8>(
                shape: shape, spacing: spacing, voxels: (0..<shape.count).map { _ in random.unit() < share ? 1 : 0 })
            let expected = bruteForce(mask)
            for threads in [1, 2] {
                let actual = squaredDistances(to: mask, team: ThreadTeam(threads: threads)).voxels
                #expect(zip(actual, expected).allSatisfy { $0 == $1 || abs($0 - $1) <= 1e-12 * $1 })
            }
        }
    }

    @Test func withoutAMemberEverythingIsInfinitelyFar() {
        let empty = Volume<UInt8>(shape: Shape(4, 3, 2), spacing: SIMD3(1, 1, 1), filledWith: 0)
        #expect(squaredDistances(to: empty, team: .one).voxels.allSatisfy { $0 == .infinity })
    }

    @Test func oneMemberInALongVolume() {
        var mask = Volume<UInt8>(shape: Shape(500, 3, 2), spacing: SIMD3(0.7, 0.8, 2.5), filledWith: 0)
        mask[499, 2, 1] = 7
        let distances = squaredDistances(to: mask, team: .one)
        #expect(distances[499, 2, 1] == 0)
        let expected = 499 * 0.7 * 499 * 0.7 + 1.6 * 1.6 + 6.25
        #expect(abs(distances[0, 0, 0] - expected) < 1e-12 * expected)
    }

    @Test func theyAreSciPys() throws {
        // Made by Tests/Fixtures/imaging/make.py, as float32 and not squared.
        let mask = try readLabels(at: SharedData.fixture("imaging/distances.nii.gz"), team: .one).volume
        let expected = try readCT(at: SharedData.fixture("imaging/distances.expected.nii"), team: .one).volume
        let exact = Volume(shape: mask.shape, spacing: SIMD3(0.7, 0.8, 2.5), voxels: mask.voxels)
        let actual = squaredDistances(to: exact, team: .one).voxels.map { Float($0.squareRoot()) }
        #expect(zip(actual, expected.voxels).allSatisfy { abs($0 - $1) <= 1e-6 * $1 })
        #expect(expected.voxels.contains { $0 > 3 })
    }
}

private func bruteForce(_ mask: Volume<UInt8>) -> [Double] {
    let shape = mask.shape
    let members = (0..<shape.count).filter { mask.voxels[$0] != 0 }.map { place($0, shape) }
    return (0..<shape.count).map { index in
        let here = place(index, shape)
        return members.map { member in
            let step = (here &- member)
            let d = SIMD3(Double(step.x), Double(step.y), Double(step.z)) * mask.spacing
            return (d * d).sum()
        }.min() ?? .infinity
    }
}

private func place(_ index: Int, _ shape: Shape) -> SIMD3<Int> {
    SIMD3(index % shape.x, index / shape.x % shape.y, index / (shape.x * shape.y))
}
