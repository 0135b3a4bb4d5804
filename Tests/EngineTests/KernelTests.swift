import CKernels
import Compute
import Engine
import TestSupport
import Testing

/// Kernels of each instruction set that this CPU has, against their plain twins.
///
/// Whole buffers are compared, so that a kernel that writes where it should not is found too.
@Suite struct KernelTests {
    struct Set: CustomTestStringConvertible, @unchecked Sendable {
        let testDescription: String
        let table: UnsafePointer<ck_kernels>

        var lanes: Int { table.pointee.lanes }

        static let available: [Set] = [
            ("avx512", ck_kernels_avx512()), ("avx2", ck_kernels_avx2()), ("portable", ck_kernels_portable()),
        ].compactMap { name, table in table.map { Set(testDescription: name, table: $0) } }
    }

    /// Floats at a multiple of 64 bytes.
    final class Buffer {
        let base: UnsafeMutablePointer<Float>
        let count: Int

        init(_ count: Int, seed: UInt64) {
            var random = SplitMix64(seed: seed)
            self.count = count
            base = UnsafeMutableRawPointer.allocate(byteCount: count * 4, alignment: 64)
                .bindMemory(to: Float.self, capacity: count)
            for index in 0..<count { base[index] = Float(random.uniform(-1...1)) }
        }

        deinit { base.deallocate() }
    }

    /// Runs both on copies of the same random memory; the largest difference as a fraction of the largest value.
    private func difference(
        _ count: Int, _ kernel: (UnsafeMutablePointer<Float>) -> Void, _ twin: (UnsafeMutablePointer<Float>) -> Void
    ) -> Float {
        let (actual, expected) = (Buffer(count, seed: 99), Buffer(count, seed: 99))
        kernel(actual.base)
        twin(expected.base)
        return largestDifference(
            Array(UnsafeBufferPointer(start: actual.base, count: count)),
            Array(UnsafeBufferPointer(start: expected.base, count: count)))
    }

    @Test(arguments: Set.available, [4, 6])
    func inputTransform(set: Set, outputs: Int) {
        let lanes = set.lanes
        for isReplicated in [false, true] {
            for count in [1, 2, 4, 5, 9, 13] {
                let source = Buffer(8 * 90 * lanes, seed: 1)
                let stride = count * lanes + 16
                var job = ck_input()
                job.source = UnsafePointer(source.base)
                job.row_stride = 90 * lanes
                job.component_stride = stride
                job.count = count
                let kernel =
                    outputs == 4
                    ? (isReplicated ? set.table.pointee.input_replicated_4 : set.table.pointee.input_4)
                    : (isReplicated ? set.table.pointee.input_replicated_6 : set.table.pointee.input_6)
                let worst = difference(
                    (outputs + 2) * (outputs + 2) * stride,
                    {
                        job.tiles = $0
                        kernel?(&job)
                    },
                    {
                        job.tiles = $0
                        ck_input_scalar(&job, outputs, lanes, isReplicated)
                    })
                #expect(worst < 1e-6, "\(count) tiles, replicated: \(isReplicated)")
            }
        }
    }

    /// A replicated source gives what the same plane gives when it is replicated first; component 2 is zero.
    @Test(arguments: [4, 6])
    func replicatedTwinIsTheTwinOfAReplicatedPlane(outputs: Int) {
        let (lanes, side) = (4, outputs + 2)
        let small = Buffer(8 * 16 * lanes, seed: 5)
        let large = Buffer(16 * 32 * lanes, seed: 6)
        // Pixel 0 of the small plane is the border: of its two copies the patch begins with the second.
        for y in 0..<15 {
            for x in 0..<31 {
                for lane in 0..<lanes {
                    large.base[(y * 32 + x) * lanes + lane] =
                        small.base[((y + 1) / 2 * 16 + (x + 1) / 2) * lanes + lane]
                }
            }
        }
        let stride = 2 * lanes
        let (first, second) = (Buffer(side * side * stride, seed: 7), Buffer(side * side * stride, seed: 7))
        var job = ck_input(
            source: small.base, row_stride: 16 * lanes, tiles: first.base, component_stride: stride, count: 2)
        ck_input_scalar(&job, outputs, lanes, true)
        job = ck_input(
            source: large.base, row_stride: 32 * lanes, tiles: second.base, component_stride: stride, count: 2)
        ck_input_scalar(&job, outputs, lanes, false)
        for component in 0..<side * side {
            let isZero = component / side == 2 || component % side == 2
            for index in component * stride..<(component + 1) * stride {
                #expect(isZero ? abs(second.base[index]) < 1e-6 : first.base[index] == second.base[index])
            }
        }
    }

    @Test(arguments: Set.available, [1, 2])
    func products(set: Set, vectors: Int) {
        let (lanes, side) = (set.lanes, 6)
        for (blocks, plain) in [(1, 1), (3, 3), (3, 1), (4, 2)] {
            for count in [1, 2, 5, 6, 7, 11, 12, 13, 25, 30] {
                let tiles = Buffer(side * side * (blocks * count * lanes + 16), seed: 1)
                let weights = Buffer(side * side * blocks * lanes * vectors * lanes, seed: 2)
                let ahead = Buffer(1000, seed: 3)
                let stretches = [
                    ck_stretch(start: ahead.base, lines: 7), ck_stretch(start: ahead.base + 200, lines: 20),
                ]
                stretches.withUnsafeBufferPointer { stretches in
                    var prefetch = ck_prefetch(
                        stretches: stretches.baseAddress, count: 2, each: 3, stretch: 0, line: 0)
                    let productStride = vectors * count * lanes + 16
                    var job = ck_products(
                        tiles: tiles.base, tile_component_stride: blocks * count * lanes + 16,
                        tile_block_stride: count * lanes, weights: weights.base, products: nil,
                        product_component_stride: productStride, product_vector_stride: count * lanes, side: side,
                        tile_count: count, vectors: vectors, blocks: blocks, plain_blocks: plain, ahead: (nil, nil))
                    let worst = withUnsafeMutablePointer(to: &prefetch) { prefetch in
                        difference(
                            side * side * productStride,
                            {
                                job.products = $0
                                job.ahead = (prefetch, nil)
                                set.table.pointee.products?(&job)
                            },
                            {
                                job.products = $0
                                ck_products_scalar(&job, lanes)
                            })
                    }
                    #expect(worst < 1e-6, "\(count) tiles, \(blocks) blocks, \(plain) plain")
                    #expect(prefetch.stretch == 2, "everything was fetched")
                }
            }
        }
    }

    /// A tile's products are the same bits whatever tiles are computed beside it.
    @Test(arguments: Set.available, [1, 2])
    func productsDoNotDependOnGrouping(set: Set, vectors: Int) {
        let (lanes, blocks, most) = (set.lanes, 2, 29)
        let tiles = Buffer(36 * blocks * most * lanes, seed: 1)
        let weights = Buffer(36 * blocks * lanes * vectors * lanes, seed: 2)
        func run(_ range: Range<Int>) -> [Float] {
            let result = Buffer(36 * vectors * most * lanes, seed: 3)
            var job = ck_products(
                tiles: tiles.base + range.lowerBound * lanes, tile_component_stride: blocks * most * lanes,
                tile_block_stride: most * lanes, weights: weights.base,
                products: result.base + range.lowerBound * lanes, product_component_stride: vectors * most * lanes,
                product_vector_stride: most * lanes, side: 6, tile_count: range.count, vectors: vectors,
                blocks: blocks, plain_blocks: blocks, ahead: (nil, nil))
            set.table.pointee.products?(&job)
            return (0..<36 * vectors).flatMap { row in
                range.flatMap { tile in (0..<lanes).map { result.base[(row * most + tile) * lanes + $0] } }
            }
        }
        let all = run(0..<most)
        for range in [0..<1, 3..<8, 7..<20, 17..<29] {
            let expected = (0..<36 * vectors).flatMap { row in
                all[(row * most + range.lowerBound) * lanes..<(row * most + range.upperBound) * lanes]
            }
            #expect(run(range) == expected, "\(range)")
        }
    }

    @Test(arguments: Set.available, [4, 6])
    func outputTransform(set: Set, outputs: Int) {
        let lanes = set.lanes
        let side = outputs + 2
        let rowStride = 40 * lanes
        let bias = Buffer(16, seed: 4)
        let slopes = Buffer(16, seed: 5)
        let shortcut = Buffer(8 * rowStride, seed: 6)
        for (count, rows, columns) in [(1, 6, 6), (3, 99, 99), (4, 4, 22), (4, 2, 16), (2, 6, 8), (1, 1, 1), (2, 1, 5)]
        where (count - 1) * outputs < columns {
            let stride = count * lanes + 16
            let products = Buffer(side * side * stride, seed: 7)
            for (hasShortcut, hasPooling) in [(false, false), (true, false), (false, true), (true, true)]
            where !hasPooling || (rows | columns) % 2 == 0 || rows == 99 {
                var job = ck_output()
                job.products = UnsafePointer(products.base)
                job.component_stride = stride
                job.count = count
                job.bias = UnsafePointer(bias.base)
                job.slopes = UnsafePointer(slopes.base)
                job.row_stride = rowStride
                job.shortcut = hasShortcut ? UnsafePointer(shortcut.base) : nil
                job.shortcut_row_stride = rowStride
                job.pooled_row_stride = rowStride / 2
                job.rows = rows
                job.columns = columns
                func attach(_ memory: UnsafeMutablePointer<Float>) {
                    job.output = memory
                    job.pooled = hasPooling ? memory + 8 * rowStride : nil
                }
                let worst = difference(
                    12 * rowStride,
                    {
                        attach($0)
                        (outputs == 4 ? set.table.pointee.output_4 : set.table.pointee.output_6)?(&job)
                    },
                    {
                        attach($0)
                        ck_output_scalar(&job, outputs, lanes)
                    })
                #expect(worst < 2e-6, "\(count) tiles, \(rows) x \(columns), \(hasShortcut), \(hasPooling)")
            }
        }
    }

    /// The shortcut may be the very memory that is written.
    @Test(arguments: Set.available)
    func outputTransformAddsInPlace(set: Set) {
        let lanes = set.lanes
        let (products, parameters) = (Buffer(64 * lanes, seed: 1), Buffer(2 * lanes, seed: 2))
        func run(_ result: Buffer, shortcut: Buffer) {
            var job = ck_output()
            job.products = UnsafePointer(products.base)
            job.component_stride = lanes
            job.count = 1
            job.bias = UnsafePointer(parameters.base)
            job.slopes = UnsafePointer(parameters.base + lanes)
            job.output = result.base
            job.row_stride = 6 * lanes
            job.shortcut = UnsafePointer(shortcut.base)
            job.shortcut_row_stride = 6 * lanes
            job.rows = 6
            job.columns = 6
            set.table.pointee.output_6?(&job)
        }
        let apart = Buffer(36 * lanes, seed: 3)
        let (inPlace, added) = (Buffer(36 * lanes, seed: 4), Buffer(36 * lanes, seed: 4))
        run(apart, shortcut: added)
        run(inPlace, shortcut: inPlace)
        for index in 0..<36 * lanes { #expect(apart.base[index] == inPlace.base[index]) }
    }

    @Test(arguments: Set.available, [1, 2])
    func firstLayer(set: Set, vectors: Int) {
        let lanes = set.lanes
        for (planes, columns) in [(1, 16), (5, 48), (3, 16)] {
            let source = Buffer(planes * 4 * 64, seed: 1)
            let weights = Buffer(planes * 9 * vectors * lanes, seed: 2)
            let parameters = Buffer(2 * vectors * lanes, seed: 3)
            var job = ck_first(
                source: source.base, row_stride: 64, plane_stride: 4 * 64, planes: planes, weights: weights.base,
                bias: parameters.base, slopes: parameters.base + vectors * lanes, vectors: vectors, output: nil,
                vector_stride: (columns + 3) * lanes, columns: columns)
            let worst = difference(
                vectors * (columns + 3) * lanes,
                {
                    job.output = $0
                    set.table.pointee.first?(&job)
                },
                {
                    job.output = $0
                    ck_first_scalar(&job, lanes)
                })
            #expect(worst < 1e-6, "\(planes) planes, \(columns) columns")
        }
    }

    @Test(arguments: Set.available, [1, 2, 3])
    func head(set: Set, outputs: Int) {
        let lanes = set.lanes
        for (blocks, columns) in [(1, 16), (2, 48), (4, 32)] {
            let (rowStride, blockStride) = (52 * lanes, 4 * 52 * lanes)
            let source = Buffer(blocks * blockStride, seed: 1)
            let weights = Buffer(blocks * 9 * outputs * lanes, seed: 2)
            let bias = Buffer(outputs, seed: 3)
            var job = ck_head(
                source: source.base, row_stride: rowStride, block_stride: blockStride, blocks: blocks,
                weights: weights.base, bias: bias.base, outputs: outputs, output: nil, plane_stride: 60,
                columns: columns)
            let worst = difference(
                outputs * 60,
                {
                    job.output = $0
                    set.table.pointee.head?(&job)
                },
                {
                    job.output = $0
                    ck_head_scalar(&job, lanes)
                })
            #expect(worst < 1e-6, "\(blocks) blocks, \(columns) columns")
        }
    }

    /// The matrices themselves: transforms and products by the twins give a direct convolution.
    @Test(arguments: [4, 6])
    func matricesGiveAConvolution(outputs: Int) {
        let (lanes, side) = (4, outputs + 2)
        let patch = Buffer(side * side * lanes, seed: 1)
        let filter = Buffer(9, seed: 2)
        let transformed = Buffer(side * side * lanes, seed: 3)
        var input = ck_input(
            source: patch.base, row_stride: side * lanes, tiles: transformed.base, component_stride: lanes, count: 1)
        ck_input_scalar(&input, outputs, lanes, false)
        var weights = [Float](repeating: 0, count: side * side)
        ck_winograd_weights(filter.base, outputs, &weights)
        for component in 0..<side * side {
            for lane in 0..<lanes { transformed.base[component * lanes + lane] *= weights[component] }
        }
        let result = Buffer(outputs * outputs * lanes, seed: 4)
        let zeros = [Float](repeating: 0, count: lanes)
        let ones = [Float](repeating: 1, count: lanes)
        zeros.withUnsafeBufferPointer { zeros in
            ones.withUnsafeBufferPointer { ones in
                var job = ck_output()
                job.products = UnsafePointer(transformed.base)
                job.component_stride = lanes
                job.count = 1
                job.bias = zeros.baseAddress
                job.slopes = ones.baseAddress
                job.output = result.base
                job.row_stride = outputs * lanes
                job.rows = outputs
                job.columns = outputs
                ck_output_scalar(&job, outputs, lanes)
            }
        }
        for y in 0..<outputs {
            for x in 0..<outputs {
                var sum = 0.0
                for tap in 0..<9 {
                    sum += Double(filter.base[tap]) * Double(patch.base[((y + tap / 3) * side + x + tap % 3) * lanes])
                }
                #expect(abs(Double(result.base[(y * outputs + x) * lanes]) - sum) < 1e-5, "pixel \(y), \(x)")
            }
        }
    }
}
