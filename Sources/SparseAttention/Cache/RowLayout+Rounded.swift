// MARK: - Reading in bfloat16

extension RowLayout {
    /// Reads one row of a block, rounded to bfloat16.
    ///
    /// Rows of bfloat16 and packed latents hold such numbers already.
    func readRounded(_ row: Int, of block: UnsafeRawPointer, into output: UnsafeMutablePointer<UInt16>) {
        switch encoding {
        case .numbers(.float32):
            let source = block.assumingMemoryBound(to: Float.self) + row * columns
            Kernels.round(source, toBFloat16: output, count: columns)
        case .numbers(.bfloat16):
            let source = block.assumingMemoryBound(to: UInt16.self) + row * columns
            output.update(from: source, count: columns)
        case .packedLatents(let latentDim):
            let start = block + row * rowByteCount
            Self.rescale(codes: start, scales: start + latentDim, count: latentDim, into: output)
            let rope = start + latentDim + Self.scaleBytes(latentDim)
            let target = output + latentDim
            UnsafeMutableRawPointer(target).copyMemory(from: rope, byteCount: 2 * (columns - latentDim))
            #if _endian(big)
                for column in 0..<columns - latentDim {
                    target[column] = UInt16(littleEndian: target[column])
                }
            #endif
        case .packedKeys:
            let scales = block + blockRows * columns + row * Self.scaleBytes(columns)
            Self.rescale(codes: block + row * columns, scales: scales, count: columns, into: output)
        }
    }

    private static func rescale(
        codes: UnsafeRawPointer,
        scales: UnsafeRawPointer,
        count: Int,
        into output: UnsafeMutablePointer<UInt16>
    ) {
        let codes = codes.assumingMemoryBound(to: UInt8.self)
        for start in stride(from: 0, to: count, by: QuantizedRows.blockColumns) {
            let offset = start / QuantizedRows.blockColumns * MemoryLayout<Float>.size
            let bits = UInt32(littleEndian: scales.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            Kernels.rescale(
                float8: codes + start,
                by: Float(bitPattern: bits),
                toBFloat16: output + start,
                count: min(QuantizedRows.blockColumns, count - start)
            )
        }
    }
}
