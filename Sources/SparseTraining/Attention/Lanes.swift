/// Sixteen numbers at once, where the kernels' columns are.
typealias Lanes = SIMD16<Float>

extension UnsafeMutablePointer<Float> {
    /// The sixteen numbers from an index on.
    @inline(__always)
    func lanes(at index: Int) -> Lanes {
        UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
    }

    /// Overwrites sixteen numbers.
    @inline(__always)
    func setLanes(_ lanes: Lanes, at index: Int) {
        UnsafeMutableRawPointer(self + index).storeBytes(of: lanes, as: Lanes.self)
    }
}

extension Lanes {
    /// The first lanes from memory, zeros in the others.
    @inline(__always)
    init(first count: Int, of numbers: UnsafePointer<Float>) {
        self.init(repeating: 0)
        for lane in 0..<count {
            self[lane] = numbers[lane]
        }
    }

    @inline(__always)
    private var bits: SIMD16<Int32> { unsafeBitCast(self, to: SIMD16<Int32>.self) }

    /// All ones where a lane is above 0: its bits are then a positive number.
    @inline(__always)
    private var positiveMask: SIMD16<Int32> { ((SIMD16<Int32>.zero &- bits) &>> 31) & ~(bits &>> 31) }

    /// Each lane, or 0 where another is not above 0; comparisons of vectors are compiled lane by lane.
    @inline(__always)
    func kept(wherePositive other: Lanes) -> Lanes {
        unsafeBitCast(bits & other.positiveMask, to: Lanes.self)
    }

    /// The sum of all lanes, halves first.
    @inline(__always)
    var total: Float {
        let eight = lowHalf + highHalf
        let four = eight.lowHalf + eight.highHalf
        let two = four.lowHalf + four.highHalf
        return two[0] + two[1]
    }
}
