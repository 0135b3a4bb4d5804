internal import Compute

/// One lesion in the liver: an uneven ellipsoid, darker than the liver around it.
struct Lesion {
    /// How its border looks.
    enum Border: CaseIterable { case sharp, fuzzy, rim }

    let centre, half: SIMD3<Float>
    let hu: Float
    let border: Border
    /// How far the fuzzy border reaches, in mm.
    private let blur: Float
    private let lobes: Waves

    init(_ random: inout SplitMix64, centre: SIMD3<Float>, radius: Float, border: Border) {
        self.centre = centre
        self.border = border
        half = radius * SIMD3(random.float(0.85...1.1), random.float(0.85...1.1), random.float(0.85...1.1))
        hu = random.float(42...78)
        blur = min(random.float(3...6), radius * 0.8)
        lobes = Waves(&random, count: 4, amplitude: 0.22 * radius, lengths: (1.6 * radius)...(4 * radius))
    }

    /// Paints the lesion into the liver and leaves its share of each voxel in the row.
    func paint(_ row: Row) {
        for block in row.blocks(in: Extent(centre: centre, half: half * 1.3 + 4)) {
            let p = row.points(block)
            let outside = ellipsoid(p, centre, half) + lobes(p)
            let sharp = row.cover(outside) * row.liver[block]
            row.lesion[block] = larger(row.lesion[block], sharp)
            let value = hu + 4 * row.texture[block]
            switch border {
            case .sharp:
                row.blend(block, sharp, value)
            case .fuzzy:
                let ramp = clampToUnit(0.5 - outside * (1 / (row.edge + blur)))
                row.blend(block, ramp * ramp * (3 - 2 * ramp) * row.liver[block], value)
            case .rim:
                let necrosis = clampToUnit((0 - outside - 0.35 * half.x) * 0.25)
                row.blend(block, sharp, value + 14 - 24 * necrosis)
            }
        }
    }
}

extension Lesion {
    /// Places `count` lesions inside the liver, apart from one another and from its large vessels. A lesion that finds no
    /// room is made smaller, down to a radius of 3 mm, and then left out.
    static func place(_ count: Int, _ random: inout SplitMix64, liver: Liver, vessels: LiverVessels) -> [Lesion] {
        let large = vessels.tubes.filter { $0.radiusA >= 3.5 }
        var placed: [(centre: SIMD3<Float>, radius: Float)] = []
        var lesions: [Lesion] = []
        for index in 0..<count {
            // Radii spread evenly over ratios; the first lesion is never a small one.
            let share = random.float(0...1)
            var radius: Float = 4 * (1 + 1.7 * share) * (1 + 0.9 * share * share)
            if index == 0 { radius = max(radius, random.float(9...16)) }
            let border = Border.allCases[Int(random.next() % 3)]
            while radius >= 3 {
                let spot = findSpot(radius, &random, liver: liver, avoiding: large, placed)
                if let spot {
                    placed.append((spot, radius))
                    lesions.append(Lesion(&random, centre: spot, radius: radius, border: border))
                    break
                }
                radius *= 0.8
            }
        }
        return lesions
    }

    private static func findSpot(
        _ radius: Float, _ random: inout SplitMix64, liver: Liver, avoiding vessels: [Tube],
        _ placed: [(centre: SIMD3<Float>, radius: Float)]
    ) -> SIMD3<Float>? {
        let box = liver.extent
        for _ in 0..<300 {
            let share = SIMD3<Float>(random.float(0...1), random.float(0...1), random.float(0...1))
            let spot = box.lower + (box.upper - box.lower) * share
            let p = Points(spot)
            guard liver.distance(p)[0] < -(1.2 * radius + 3) else { continue }
            guard placed.allSatisfy({ distance($0.centre, spot) > 1.3 * ($0.radius + radius) + 6 }) else { continue }
            guard vessels.allSatisfy({ $0.distance(p)[0] > 1.1 * radius }) else { continue }
            return spot
        }
        return nil
    }
}

private func distance(_ a: SIMD3<Float>, _ b: SIMD3<Float>) -> Float { ((a - b) * (a - b)).sum().squareRoot() }
