extension Architecture {
    /// Multiply-adds of one image by the definition of convolution, whatever algorithm computes it.
    ///
    /// Twice that, over the time, is the rate that "direct-equivalent" GFLOP/s names: an algorithm that needs fewer
    /// products may exceed the CPU's peak.
    ///
    /// - Parameters:
    ///   - height: rows, a multiple of 16.
    ///   - width: columns, a multiple of 16.
    public func multiplyAdds(height: Int, width: Int) -> Double {
        let pixels = Double(height) * Double(width)
        let blocks = (encoder + decoder).reduce(0.0) { sum, block in
            let filters = (0..<block.convolutions).reduce(0) { $0 + block.inputs(of: $1) * block.outputs }
            return sum + Double(9 * filters) * pixels / Double(1 << (2 * block.level))
        }
        return blocks + Double(9 * self.width * classes) * pixels
    }
}
