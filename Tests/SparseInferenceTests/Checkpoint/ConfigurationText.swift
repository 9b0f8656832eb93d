import SparseInference
import XCTest

/// The text of a small valid `config.json`, to be edited field by field.
struct ConfigurationText: CustomStringConvertible {
    /// Names and values, the values as JSON.
    private(set) var fields: [(name: String, value: String)]

    init(family: ModelConfiguration.Family) {
        fields = [
            ("model_type", "\"\(family.rawValue)\""), ("architectures", "[\"SomeModel\"]"),
            ("vocab_size", "64"), ("hidden_size", "16"), ("num_hidden_layers", "4"),
            ("num_attention_heads", "2"), ("num_key_value_heads", "2"), ("q_lora_rank", "10"),
            ("kv_lora_rank", "8"), ("qk_nope_head_dim", "6"), ("qk_rope_head_dim", "4"), ("v_head_dim", "5"),
            ("intermediate_size", "24"), ("moe_intermediate_size", "12"), ("first_k_dense_replace", "1"),
            ("moe_layer_freq", "1"), ("n_routed_experts", "8"), ("n_shared_experts", "1"),
            ("num_experts_per_tok", "3"), ("n_group", "4"), ("topk_group", "2"), ("norm_topk_prob", "true"),
            ("routed_scaling_factor", "2.5"), ("rms_norm_eps", "1e-06"),
            ("max_position_embeddings", "4096"), ("tie_word_embeddings", "false"),
            ("num_nextn_predict_layers", "0"), ("bos_token_id", "0"), ("eos_token_id", "1"),
            ("hidden_act", "\"silu\""), ("attention_bias", "false"), ("scoring_func", "\"sigmoid\""),
            ("topk_method", "\"noaux_tc\""), ("rope_theta", "10000"),
        ]
        if family != .deepseekV3 {
            fields += [("index_n_heads", "3"), ("index_head_dim", "8"), ("index_topk", "7")]
        }
    }

    /// Replaces a field, or adds it.
    mutating func set(_ name: String, to value: String) {
        if let position = fields.firstIndex(where: { $0.name == name }) {
            fields[position].value = value
        } else {
            fields.append((name, value))
        }
    }

    /// The same text with fields replaced or added, and with fields left out.
    func with(_ changes: [String: String], without removed: Set<String> = []) -> ConfigurationText {
        var text = self
        for name in changes.keys.sorted() { text.set(name, to: changes[name] ?? "null") }
        text.fields.removeAll { removed.contains($0.name) }
        return text
    }

    /// What the text says.
    func configuration() throws -> ModelConfiguration {
        try ModelConfiguration(JSONValue(parsing: Array(description.utf8)))
    }

    var description: String {
        "{" + fields.map { "\"\($0.name)\": \($0.value)" }.joined(separator: ",\n ") + "}\n"
    }
}

/// Checks that a configuration is refused for exactly this reason.
func assertFault(
    _ fault: ConfigurationFault,
    _ text: ConfigurationText,
    file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertThrowsError(try text.configuration(), file: file, line: line) { error in
        XCTAssertEqual(error as? ConfigurationFault, fault, file: file, line: line)
    }
}
