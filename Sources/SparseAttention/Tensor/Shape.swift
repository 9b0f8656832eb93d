/// The sizes of a tensor's dimensions, outermost first.
public struct Shape: Equatable, Hashable, Sendable {
    /// The size of each dimension, outermost first; none is negative.
    public let dimensions: [Int]

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    public let count: Int

    /// Makes a shape of the given dimensions.
    ///
    /// - Parameter dimensions: outermost first.
    /// - Throws: `SparseAttentionError.invalidSetting` when one is negative or the product overflows.
    public init(_ dimensions: [Int]) throws(SparseAttentionError) {
        var count = 1
        for dimension in dimensions {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            guard dimension >= 0, !overflow else {
                throw .invalidSetting(
                    name: "shape",
                    found: "\(dimensions)",
                    expected: "dimensions >= 0 whose product fits in \(Int.bitWidth) bits"
                )
            }
            count = product
        }
        self.dimensions = dimensions
        self.count = count
    }

    /// The number of dimensions.
    public var rank: Int { dimensions.count }

    /// The size of one dimension.
    public subscript(_ dimension: Int) -> Int { dimensions[dimension] }

    /// The product of every dimension but the last; 1 for a scalar.
    package var rows: Int { dimensions.dropLast().reduce(1, *) }

    /// The last dimension; 1 for a scalar.
    package var columns: Int { dimensions.last ?? 1 }
}

extension Shape: ExpressibleByArrayLiteral {
    /// Makes a shape from dimensions that are known to be valid.
    ///
    /// - Precondition: no dimension is negative and the product does not overflow.
    public init(arrayLiteral elements: Int...) {
        self.init(trusted: elements)
    }

    /// Makes a shape whose dimensions the module itself has computed from checked ones.
    package init(trusted dimensions: [Int]) {
        precondition(dimensions.allSatisfy { $0 >= 0 }, "negative dimension")
        self.dimensions = dimensions
        count = dimensions.reduce(1, *)
    }
}

extension Shape: CustomStringConvertible {
    /// The dimensions in square brackets, outermost first.
    public var description: String {
        "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
    }
}
