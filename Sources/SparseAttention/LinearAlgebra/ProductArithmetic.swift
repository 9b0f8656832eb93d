/// The numbers that enter products; sums are float32 in either case.
///
/// A choice that changes results, so it is written where it is made and never taken for speed alone.
public enum ProductArithmetic: String, Equatable, Sendable, CaseIterable {
    /// Both factors as they are, in float32.
    case float32
    /// Both factors rounded to bfloat16, nearest, ties to even; their products are then exact.
    ///
    /// The processor may treat subnormal numbers as zero.
    case bfloat16
}
