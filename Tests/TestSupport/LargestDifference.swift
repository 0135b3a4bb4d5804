/// The largest difference, as a fraction of the largest magnitude of `expected`; infinite where anything is NaN.
public func largestDifference(_ actual: [Float], _ expected: [Float]) -> Float {
    guard actual.count == expected.count, actual.allSatisfy(\.isFinite) else { return .infinity }
    let scale = expected.map(abs).max() ?? 1
    return (zip(actual, expected).map { abs($0 - $1) }.max() ?? 0) / scale
}
