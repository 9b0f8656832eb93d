// MARK: - Rows in bfloat16

extension RowsView {
    /// Gives a pointer to each row in bfloat16: where it is stored so, else rounded into `room`.
    ///
    /// - Parameters:
    ///   - positions: the rows; every position is one.
    ///   - room: at least as many rows as positions.
    ///   - pointers: one for each position.
    func round(
        _ positions: some Collection<Int>,
        room: BFloat16Matrix,
        into pointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>
    ) {
        precondition(room.rows >= positions.count && room.columns == columns)
        for (index, position) in positions.enumerated() {
            precondition(position >= 0 && position < rows)
            pointers[index] = rounded(position, room: room[index])
        }
    }

    private func rounded(_ row: Int, room: UnsafeMutablePointer<UInt16>) -> UnsafePointer<UInt16> {
        switch storage {
        case .numbers(.float32, let stride):
            let source = base.assumingMemoryBound(to: Float.self) + row * stride
            Kernels.round(source, toBFloat16: room, count: columns)
        case .numbers(.bfloat16, let stride):
            return base.assumingMemoryBound(to: UInt16.self) + row * stride
        case .blocks(let layout, let pages, let byteCount):
            let (block, inside) = row.quotientAndRemainder(dividingBy: layout.blockRows)
            let start = base + Int(pages[block]) * byteCount
            if case .numbers(.bfloat16) = layout.encoding {
                return start.assumingMemoryBound(to: UInt16.self) + inside * layout.columns
            }
            layout.readRounded(inside, of: start, into: room)
        }
        return UnsafePointer(room)
    }

    /// Asks for rows to be brought near.
    func prefetch(_ positions: some Collection<Int>) {
        for position in positions {
            switch storage {
            case .numbers(let format, let stride):
                let start = base + position * stride * format.byteCount
                Kernels.prefetch(start, byteCount: columns * format.byteCount)
            case .blocks(let layout, let pages, let byteCount):
                let (block, inside) = position.quotientAndRemainder(dividingBy: layout.blockRows)
                let start = base + Int(pages[block]) * byteCount + inside * layout.rowByteCount
                Kernels.prefetch(start, byteCount: layout.rowByteCount)
            }
        }
    }
}
