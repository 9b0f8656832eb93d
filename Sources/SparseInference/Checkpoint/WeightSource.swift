/// Where named weights come from: a checkpoint, or one file of named tensors.
package protocol WeightSource: AnyObject, Sendable {
    /// The entry of a tensor that has to be there, in this shape, as one of these types.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the tensor is missing or is something else.
    func require(_ name: String, shape: [Int], dataTypes: [DataType]) throws(SparseInferenceError)
        -> TensorEntry

    /// The bytes of a tensor, in place and unaligned; valid while this object lives.
    func mappedBytes(of entry: TensorEntry) -> UnsafeRawBufferPointer

    /// A copy of an F32, F16 or BF16 tensor as `Float`, exactly.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when there is no such tensor or it is of another type.
    func floats(of name: String) throws(SparseInferenceError) -> [Float]
}

extension Checkpoint: WeightSource {}
