/// How rows lie in a block of memory: all that a cache reserves, or one page.
struct RowLayout: Equatable, Sendable {
    /// How the numbers of a row become bytes.
    enum Encoding: Equatable, Sendable {
        /// Number after number, row after row.
        case numbers(StorageFormat)
        /// Row after row: codes of the latent, its scales, the rope key in bfloat16.
        case packedLatents(latentDim: Int)
        /// The codes of all rows of the block, then the scales of all its rows, as the public kernels page
        /// index keys.
        case packedKeys(ScaleFormat)
    }

    let encoding: Encoding
    let columns: Int
    /// The rows a block has room for.
    let blockRows: Int

    /// Rows of a latent cache.
    static func latents(latentDim: Int, ropeDim: Int, format: CacheFormat, blockRows: Int) -> RowLayout {
        let encoding = numbers(format) ?? .packedLatents(latentDim: latentDim)
        return RowLayout(encoding: encoding, columns: latentDim + ropeDim, blockRows: blockRows)
    }

    /// Rows of an index key cache.
    static func keys(columns: Int, format: CacheFormat, blockRows: Int) -> RowLayout {
        RowLayout(
            encoding: numbers(format) ?? .packedKeys(.powerOfTwo),
            columns: columns,
            blockRows: blockRows
        )
    }

    private static func numbers(_ format: CacheFormat) -> Encoding? {
        switch format {
        case .float32: .numbers(.float32)
        case .bfloat16: .numbers(.bfloat16)
        case .float8: nil
        }
    }

    /// The bytes of one row.
    var rowByteCount: Int {
        switch encoding {
        case .numbers(let format): columns * format.byteCount
        case .packedLatents(let latentDim):
            latentDim + Self.scaleBytes(latentDim) + (columns - latentDim) * StorageFormat.bfloat16.byteCount
        case .packedKeys: columns + Self.scaleBytes(columns)
        }
    }

    /// The bytes of `blocks` blocks.
    ///
    /// - Throws: `invalidSetting` when they overflow, `insufficientMemory` when this machine has fewer.
    func byteCount(blocks: Int) throws(SparseAttentionError) -> Int {
        let rows = try Shape([blocks, blockRows]).count
        let shape: Shape =
            if case .numbers(let format) = encoding {
                try Shape([rows, columns, format.byteCount])
            } else {
                try Shape([rows, rowByteCount])
            }
        try AlignedBuffer.checkAvailable(byteCount: shape.count)
        return shape.count
    }

    static func scaleBytes(_ codes: Int) -> Int {
        tileCount(codes, QuantizedRows.blockColumns) * MemoryLayout<Float>.size
    }
}

// MARK: - Writing

extension RowLayout {
    /// Refuses what a row cannot hold.
    ///
    /// - Throws: `nonFinite` for a NaN or an infinity in a row of codes.
    func validate(_ tensor: Tensor, named name: String) throws(SparseAttentionError) {
        if case .numbers = encoding { return }
        if let index = tensor.firstNonFinite { throw .nonFinite(argument: name, index: index) }
    }

    /// Writes rows from `first` on; each of `parts` gives some columns of all of them, `block` where a block begins.
    func write(_ parts: [Tensor], rows: Int, from first: Int, block: (Int) -> UnsafeMutableRawPointer) {
        var column = 0
        for part in parts {
            part.withMatrix { part in
                for row in 0..<rows {
                    let (index, inside) = (first + row).quotientAndRemainder(dividingBy: blockRows)
                    write(part[row], count: part.columns, to: block(index), row: inside, column: column)
                }
                column += part.columns
            }
        }
        precondition(column == columns)
    }

    private func write(
        _ source: UnsafePointer<Float>,
        count: Int,
        to block: UnsafeMutableRawPointer,
        row: Int,
        column: Int
    ) {
        switch encoding {
        case .numbers(.float32):
            (block.assumingMemoryBound(to: Float.self) + row * columns + column).update(
                from: source,
                count: count
            )
        case .numbers(.bfloat16):
            let target = block.assumingMemoryBound(to: UInt16.self) + row * columns + column
            Kernels.round(source, toBFloat16: target, count: count)
        case .packedLatents(let latentDim) where column == 0:
            let start = block + row * rowByteCount
            Self.quantize(source, count: count, codes: start, scales: start + latentDim) {
                PackedLatentRow.scale(forLargest: $0, format: .powerOfTwo)
            }
        case .packedLatents(let latentDim):
            let start = block + row * rowByteCount + latentDim + Self.scaleBytes(latentDim)
            for index in 0..<count {
                let bits = BFloat16(source[index]).bitPattern.littleEndian
                start.storeBytes(of: bits, toByteOffset: 2 * (column - latentDim + index), as: UInt16.self)
            }
        case .packedKeys(let format):
            let scales = block + blockRows * columns + row * Self.scaleBytes(columns)
            Self.quantize(source, count: count, codes: block + row * columns, scales: scales) {
                format.scale(forLargest: $0)
            }
        }
    }

    private static func quantize(
        _ source: UnsafePointer<Float>,
        count: Int,
        codes: UnsafeMutableRawPointer,
        scales: UnsafeMutableRawPointer,
        scale: (_ largest: Float) -> Float
    ) {
        let codes = codes.assumingMemoryBound(to: UInt8.self)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: QuantizedRows.blockColumns) { scaled in
            guard let scaledStart = scaled.baseAddress else { return }
            for start in stride(from: 0, to: count, by: QuantizedRows.blockColumns) {
                let columns = start..<min(start + QuantizedRows.blockColumns, count)
                let scale = scale(columns.reduce(0) { max($0, source[$1].magnitude) })
                for (index, column) in columns.enumerated() {
                    scaled[index] = source[column] / scale
                }
                Kernels.round(UnsafePointer(scaledStart), toFloat8: codes + start, count: columns.count)
                let offset = start / QuantizedRows.blockColumns * MemoryLayout<Float>.size
                scales.storeBytes(of: scale.bitPattern.littleEndian, toByteOffset: offset, as: UInt32.self)
            }
        }
    }
}

// MARK: - Reading

extension RowLayout {
    /// Reads one row of a block in float32.
    func read(_ row: Int, of block: UnsafeRawPointer, into output: UnsafeMutablePointer<Float>) {
        switch encoding {
        case .numbers(.float32):
            output.update(from: block.assumingMemoryBound(to: Float.self) + row * columns, count: columns)
        case .numbers(.bfloat16):
            let source = block.assumingMemoryBound(to: UInt16.self) + row * columns
            Kernels.widen(bfloat16: source, into: output, count: columns)
        case .packedLatents:
            // Every element of such a row is a bfloat16 number.
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: columns) { bits in
                guard let start = bits.baseAddress else { return }
                readRounded(row, of: block, into: start)
                Kernels.widen(bfloat16: start, into: output, count: columns)
            }
        case .packedKeys:
            let scales = block + blockRows * columns + row * Self.scaleBytes(columns)
            Self.dequantize(codes: block + row * columns, scales: scales, count: columns, into: output)
        }
    }

    private static func dequantize(
        codes: UnsafeRawPointer,
        scales: UnsafeRawPointer,
        count: Int,
        into output: UnsafeMutablePointer<Float>
    ) {
        Kernels.widen(float8: codes.assumingMemoryBound(to: UInt8.self), into: output, count: count)
        for start in stride(from: 0, to: count, by: QuantizedRows.blockColumns) {
            let offset = start / QuantizedRows.blockColumns * MemoryLayout<Float>.size
            let bits = UInt32(littleEndian: scales.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            let columns = min(QuantizedRows.blockColumns, count - start)
            Kernels.scale(output + start, by: Float(bitPattern: bits), count: columns)
        }
    }
}
