import SparseInference

extension FuzzTarget {
    /// Parses a text; what is accepted has to be equal to itself and found under its own keys.
    func parse(_ input: consuming Input) throws {
        let bytes = input.remainder()
        let strict = Result { try JSONValue(parsing: bytes) }
        let loose = Result { try JSONValue(parsing: bytes, maximumDepth: 16, dialect: .nonFiniteNumbers) }
        if case .success(let value) = strict {
            visit(value)
            if case .success(let other) = loose { precondition(value == other) }
        }
        _ = try (strict.get(), loose.get())
    }

    private func visit(_ value: JSONValue) {
        precondition(!value.summary.isEmpty)
        _ = (value.int, value.double, value.bool, value.isNull, value.string)
        for element in value.array ?? [] { visit(element) }
        for member in value.object?.members ?? [] {
            precondition(value.object?[member.key] == member.value)
            visit(member.value)
        }
    }

    /// Reads a weight index; opens none of the files it names.
    func readIndex(_ input: consuming Input) throws {
        let index = try WeightIndex(JSONValue(parsing: input.remainder()))
        for shard in index.shards {
            precondition(!shard.contains("/") && !shard.contains("\\") && !shard.hasPrefix("."))
        }
    }

    /// Reads a configuration, and computes from it what a model costs.
    func readConfiguration(_ input: consuming Input) throws {
        let configuration = try ModelConfiguration(JSONValue(parsing: input.remainder()))
        for layer in [0, configuration.layers - 1] {
            _ = configuration.isDense(layer: layer)
            _ = configuration.indexer?.sharing(layer: layer)
        }
    }
}
