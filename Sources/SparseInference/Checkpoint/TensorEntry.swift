/// Where a tensor lies in a file, and what it is.
package struct TensorEntry: Equatable, Sendable {
    /// The tensor's name, unique in its checkpoint.
    package let name: String
    /// The type of its elements.
    package let dataType: DataType
    /// Its dimensions, outermost first; empty for a scalar.
    package let shape: [Int]
    /// Its bytes, counted from the start of the file; as many as shape and type need.
    package let byteRange: Range<Int>
    /// The name of the file that holds it.
    package let file: String

    /// How many bytes it takes.
    package var byteCount: Int { byteRange.count }

    /// How many elements it has.
    package var elementCount: Int { byteRange.count / dataType.byteWidth }
}
