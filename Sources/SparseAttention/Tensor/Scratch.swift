/// Working memory of one worker, carved into matrices once before a loop.
package final class Scratch {
    private let buffer: AlignedBuffer
    private var used = 0

    /// Reserves room for `floats` numbers, plus the padding of `matrices` matrices.
    package init(floats: Int, matrices: Int = 8) {
        let padding = matrices * AlignedBuffer.alignment
        buffer = AlignedBuffer(
            byteCount: floats * MemoryLayout<Float>.stride + padding,
            poisoned: AlignedBuffer.poisonsFreshMemory
        )
    }

    /// Takes the next matrix; it lives as long as this object.
    package func matrix(rows: Int, columns: Int) -> MutableMatrixView {
        let base = array(of: Float.self, count: rows * columns)
        return MutableMatrixView(base: base, rows: rows, columns: columns, stride: columns)
    }

    /// Takes the next `count` numbers or pointers; they live as long as this object.
    package func array<Element: BitwiseCopyable>(of type: Element.Type, count: Int)
        -> UnsafeMutablePointer<Element>
    {
        let byteCount = count * MemoryLayout<Element>.stride
        precondition(used + byteCount <= buffer.byteCount, "scratch is too small")
        let base = (buffer.base + used).bindMemory(to: Element.self, capacity: max(count, 1))
        used += (byteCount + AlignedBuffer.alignment - 1) & ~(AlignedBuffer.alignment - 1)
        return base
    }
}
