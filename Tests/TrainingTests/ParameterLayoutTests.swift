import Inference
import Testing
import Training

@Suite struct ParameterLayoutTests {
    @Test func everyTensorOfTheNetworkHasItsPlace() {
        let architecture = Architecture(width: 8, slices: 5, classes: 3)
        let layout = ParameterLayout(architecture)
        #expect(layout.parameters.count + layout.averages.count == architecture.tensors.count)
        #expect(layout.averages.allSatisfy { $0.name.hasSuffix("running_mean") || $0.name.hasSuffix("running_var") })
        var end = 0
        for entry in layout.parameters {
            #expect(entry.range.lowerBound == end && entry.range.count == entry.shape.reduce(1, *))
            end = entry.range.upperBound
        }
        #expect(end == layout.parameterCount)
    }
}
