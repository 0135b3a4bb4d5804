import Foundation
public import Inference

/// PyTorch's CPU generator: the Mersenne Twister, and the ways in which `Tensor.uniform_` and `Tensor.normal_` draw from
/// it in single precision. With it a test makes the very weights of the training code's `randomise(net, seed)` instead
/// of keeping megabytes of them in the repository.
///
/// Source: Matsumoto & Nishimura, Mersenne Twister, ACM TOMACS 8 (1998); PyTorch, ATen/native/cpu/DistributionTemplates.h.
public struct TorchRandom {
    private var state: [UInt32]
    private var index = 624
    /// The second number of a Box-Muller pair that was drawn in double precision.
    private var spare: Double?

    /// The sequence of `torch.Generator().manual_seed(seed)`.
    public init(seed: UInt32) {
        state = [seed]
        for i in 1..<624 { state.append(1_812_433_253 &* (state[i - 1] ^ state[i - 1] >> 30) &+ UInt32(i)) }
    }

    /// `count` numbers of `uniform_(lower, upper)`.
    public mutating func uniform(_ count: Int, _ lower: Float, _ upper: Float) -> [Float] {
        (0..<count).map { _ in unit() * (upper - lower) + lower }
    }

    /// `count` numbers of `normal_(mean, deviation)`.
    public mutating func normal(_ count: Int, mean: Float, deviation: Float) -> [Float] {
        guard count >= 16 else {
            return (0..<count).map { _ in Float(Double(mean) + Double(deviation) * standardNormal()) }
        }
        var values = (0..<count).map { _ in unit() }
        for start in stride(from: 0, through: count - 16, by: 16) { shape(&values, start, mean, deviation) }
        if count % 16 != 0 {
            for i in count - 16..<count { values[i] = unit() }
            shape(&values, count - 16, mean, deviation)
        }
        return values
    }

    /// Sixteen uniform numbers to sixteen normal ones: Box-Muller on numbers that lie eight apart.
    private func shape(_ values: inout [Float], _ start: Int, _ mean: Float, _ deviation: Float) {
        for i in start..<start + 8 {
            let radius = (-2 * logf(1 - values[i])).squareRoot()
            let angle = 2 * Float.pi * values[i + 8]
            values[i] = radius * cosf(angle) * deviation + mean
            values[i + 8] = radius * sinf(angle) * deviation + mean
        }
    }

    private mutating func standardNormal() -> Double {
        if let spare {
            self.spare = nil
            return spare
        }
        let (first, second) = (doubleUnit(), doubleUnit())
        let radius = (-2 * log1p(-second)).squareRoot()
        spare = radius * sin(2 * .pi * first)
        return radius * cos(2 * .pi * first)
    }

    private mutating func unit() -> Float { Float(next() & 0xFF_FFFF) * 0x1p-24 }

    private mutating func doubleUnit() -> Double {
        let high = UInt64(next())
        return Double((high << 32 | UInt64(next())) & (1 << 53 - 1)) * 0x1p-53
    }

    private mutating func next() -> UInt32 {
        if index == 624 { twist() }
        var y = state[index]
        index += 1
        y ^= y >> 11
        y ^= y << 7 & 0x9D2C_5680
        y ^= y << 15 & 0xEFC6_0000
        return y ^ y >> 18
    }

    private mutating func twist() {
        state.withUnsafeMutableBufferPointer { state in
            for i in 0..<624 {
                let y = state[i] & 0x8000_0000 | state[(i + 1) % 624] & 0x7FFF_FFFF
                state[i] = state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 == 0 ? 0 : 0x9908_B0DF)
            }
        }
        index = 0
    }
}

extension Architecture {
    /// The tensors of `randomise(HanNet(width, slices, classes), seed)`: random but well scaled.
    public func torchTensors(seed: UInt32) -> [String: Tensor] {
        var random = TorchRandom(seed: seed)
        var result: [String: Tensor] = [:]
        for (name, shape) in self.tensors {
            let count = shape.reduce(1, *)
            let values =
                switch name.split(separator: ".").suffix(2).joined(separator: ".") {
                case "conv.weight", "head.weight":
                    random.normal(count, mean: 0, deviation: Float((2 / Double(9 * shape[1])).squareRoot()))
                case "norm.weight", "norm.running_var": random.uniform(count, 0.6, 1.4)
                case "act.weight": random.uniform(count, 0.05, 0.35)
                default: random.normal(count, mean: 0, deviation: 0.1)
                }
            result[name] = Tensor(shape: shape, values: values)
        }
        return result
    }
}
