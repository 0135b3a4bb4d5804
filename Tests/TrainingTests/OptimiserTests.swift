import Compute
import Inference
import TestSupport
import Testing

@testable import Training

/// Both optimisers against PyTorch's, by Fixtures/training/make_optimiser.py.
@Suite struct OptimiserTests {
    private func steps(_ method: Optimiser.Method, threads: Int) throws -> [String: [Float]] {
        let fixture = try Safetensors(reading: SharedData.fixture("training/optimiser.safetensors")).tensors
        func values(_ name: String) throws -> [Float] { try #require(fixture[name]).values }
        var parameters = try values("begin")
        let count = parameters.count
        let gradients = try values("gradients")
        var optimiser = Optimiser(
            method, weightDecay: Double(try values("decay")[0]), count: count, convolutions: [0..<10, 10..<30])
        let team = ThreadTeam(threads: threads)
        for (step, rate) in try values("rates").enumerated() {
            optimiser.update(
                &parameters, gradients: Array(gradients[step * count..<(step + 1) * count]), rate: Double(rate),
                step: step, team: team)
        }
        return ["ours": parameters, "PyTorch": try values(method.rawValue), "begin": try values("begin")]
    }

    @Test(arguments: Optimiser.Method.allCases, [1, 2])
    func followsPyTorch(method: Optimiser.Method, threads: Int) throws {
        let result = try steps(method, threads: threads)
        let (ours, theirs, begin) = (result["ours"] ?? [], result["PyTorch"] ?? [], result["begin"] ?? [])
        #expect(ours.count == 40 && theirs.count == 40)
        for index in ours.indices {
            let scale = max(abs(theirs[index]), abs(begin[index]))
            #expect(abs(ours[index] - theirs[index]) <= 1e-6 * scale, "\(method), parameter \(index)")
            #expect(ours[index] != begin[index])
        }
    }

    @Test func decaysConvolutionsAlone() {
        let layout = ParameterLayout(Architecture(width: 1, slices: 1, classes: 2))
        let team = ThreadTeam(threads: 1)
        let still = [Float](repeating: 0, count: layout.parameterCount)
        for method in Optimiser.Method.allCases {
            var parameters = [Float](repeating: 1, count: layout.parameterCount)
            var optimiser = Optimiser(method, weightDecay: 0.5, layout: layout)
            optimiser.update(&parameters, gradients: still, rate: 0.5, step: 0, team: team)
            for entry in layout.parameters {
                let isConvolution = entry.name.hasSuffix("conv.weight") || entry.name == "head.weight"
                let expected: Float = method == .sgd || isConvolution ? 0.75 : 1
                #expect(parameters[entry.range].allSatisfy { $0 == expected }, "\(method), \(entry.name)")
            }
        }
    }
}
