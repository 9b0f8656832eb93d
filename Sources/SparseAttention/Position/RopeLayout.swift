/// Which elements of a vector rotary embedding turns together.
///
/// DeepSeek-V3.2 uses both: the attention turns neighbours, the indexer elements half a vector apart. The first
/// public inference code turned neighbours in the indexer too, and nothing showed until a sequence grew
/// longer than top-k (vllm#28968, mlx-lm#512); so the layout is named at each call.
public enum RopeLayout: Equatable, Sendable {
    /// Pairs `(2i, 2i + 1)`: the attention everywhere, and the indexer of GLM-MoE-DSA.
    case interleaved
    /// Pairs `(i, i + d/2)`: the indexer of DeepSeek-V3.2.
    case halfSplit
}
