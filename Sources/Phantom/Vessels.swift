internal import Compute

/// The vessels inside the liver: the portal tree, which grows from the hilum, and the hepatic veins, which run to the
/// vena cava below the diaphragm.
struct LiverVessels {
    let tubes: [Tube]

    init(_ random: inout SplitMix64, liver: Liver, portal: PortalRoots, veinHU: Float) {
        var grown: [Tube] = []
        func isInside(_ point: SIMD3<Float>, depth: Float) -> Bool { liver.distance(Points(point))[0] < -depth }

        /// One vessel and its daughters, as far as there is liver around them.
        func grow(
            from start: SIMD3<Float>, along way: SIMD3<Float>, length: Float, radius: Float, hu: Float, generation: Int
        ) {
            guard generation < 6, radius > 0.7 else { return }
            for _ in 0..<6 {
                let wander = way + random.vector() * 0.45
                let end = start + wander * (length / max(0.1, (wander * wander).sum().squareRoot()))
                guard isInside(end, depth: 4) else { continue }
                grown.append(Tube(start, radius, end, radius * 0.8, hu: hu))
                let side = random.vector()
                for turn: Float in [-0.75, 0.75] {
                    grow(
                        from: end, along: unit(wander) + side * turn, length: length * random.float(0.68...0.92),
                        radius: radius * random.float(0.62...0.82), hu: hu, generation: generation + 1)
                }
                return
            }
        }

        /// A main vessel through the given points, with branches along it.
        func trunk(_ points: [SIMD3<Float>], radii: [Float], hu: Float) {
            var start = points[0]
            for index in 1..<points.count {
                let end = points[index] + random.vector() * 5
                grown.append(Tube(start, radii[index - 1], end, radii[index], hu: hu))
                if index < points.count - 1 {
                    grow(
                        from: end, along: unit(random.vector()), length: 24, radius: radii[index] * 0.6, hu: hu,
                        generation: 2)
                }
                if index == points.count - 1 {
                    grow(
                        from: end, along: unit(end - start), length: 22, radius: radii[index], hu: hu, generation: 1)
                }
                start = end
            }
        }

        let hilum = portal.hilum
        trunk([hilum, SIMD3(-66, -6, 8), SIMD3(-80, -34, 20)], radii: [6.5, 5.5, 4], hu: portal.hu)
        trunk([hilum, SIMD3(-66, -6, 8), SIMD3(-92, 24, 8)], radii: [6, 5.5, 4], hu: portal.hu)
        trunk([hilum, SIMD3(-84, 4, -14), SIMD3(-94, -6, -44)], radii: [5, 4.5, 3], hu: portal.hu)
        trunk(
            [hilum, SIMD3(-26, -28, 14), SIMD3(-12, -46, 24), SIMD3(16, -48, 30)], radii: [5, 4.8, 4, 3], hu: portal.hu)
        let outlet = SIMD3<Float>(-22, -2, 58)
        trunk([outlet, SIMD3(-60, 10, 42), SIMD3(-100, 14, 16)], radii: [6, 4.8, 3], hu: veinHU)
        trunk([outlet, SIMD3(-40, -26, 44), SIMD3(-52, -54, 18)], radii: [5.5, 4.4, 2.8], hu: veinHU)
        trunk([outlet, SIMD3(-12, -28, 48), SIMD3(14, -48, 40)], radii: [5, 4, 2.6], hu: veinHU)
        tubes = grown
    }

    /// Paints the vessels, no further than the liver goes.
    func paint(_ row: Row) {
        for tube in tubes {
            for block in row.blocks(in: tube.extent) {
                let share = row.cover(tube.distance(row.points(block))) * row.liver[block]
                row.blend(block, share, Lanes(repeating: tube.hu))
            }
        }
    }
}

/// The vector's direction, as a vector of length 1; zero stays zero.
func unit(_ v: SIMD3<Float>) -> SIMD3<Float> { v / max((v * v).sum().squareRoot(), 1e-6) }
