import CDSAOracle
import SparseAttention

/// `dsa_act_quant` of `dsa_oracle.h`.
@c @implementation
public func dsa_act_quant(
    _ x: UnsafeRawPointer?,
    _ type: Int32,
    _ rows: Int64,
    _ columns: Int64,
    _ scale_format: Int32,
    _ codes: UnsafeMutablePointer<UInt8>?,
    _ scales: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_act_quant") { () throws(OracleFault) in
        let (rows, columns) = try (tokens(rows, "rows"), size(columns, "columns", in: 1...DSA_MAX_TOKENS))
        let type = try ElementType(type, "type")
        let format = try ScaleFormat(scale_format)
        let codes = try output(codes, "codes", rows, columns)
        let scales = try output(scales, "scales", rows, tileCount(columns, QuantizedRows.blockColumns))
        let tensor = try TypedArray(x, "x", type, rows, columns).finiteTensor()
        let quantized = try core { () throws(SparseAttentionError) in
            try QuantizedRows(quantizing: tensor, format: format)
        }
        copy(quantized.codes, to: codes)
        copy(quantized.scales, to: scales)
    }
}

/// `dsa_act_dequant` of `dsa_oracle.h`.
@c @implementation
public func dsa_act_dequant(
    _ codes: UnsafePointer<UInt8>?,
    _ scales: UnsafePointer<Float>?,
    _ rows: Int64,
    _ columns: Int64,
    _ x: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_act_dequant") { () throws(OracleFault) in
        let (rows, columns) = try (tokens(rows, "rows"), size(columns, "columns", in: 1...DSA_MAX_TOKENS))
        let codes = try input(codes, "codes", rows, columns)
        let scales = try input(scales, "scales", rows, tileCount(columns, QuantizedRows.blockColumns))
        let target = try output(x, "x", rows, columns)
        try reserve(target.count, MemoryLayout<Float>.size)
        let quantized = try core { () throws(SparseAttentionError) in
            try QuantizedRows(rows: rows, columns: columns, codes: Array(codes), scales: Array(scales))
        }
        copy(quantized.dequantized(), to: target)
    }
}

/// `dsa_e4m3_encode` of `dsa_oracle.h`.
@c @implementation
public func dsa_e4m3_encode(
    _ x: UnsafePointer<Float>?,
    _ count: Int64,
    _ codes: UnsafeMutablePointer<UInt8>?
) -> Int32 {
    answer("dsa_e4m3_encode") { () throws(OracleFault) in
        try convert(x, "x", count, codes, "codes") { Kernels.round($0, toFloat8: $1, count: $2) }
    }
}

/// `dsa_e4m3_decode` of `dsa_oracle.h`.
@c @implementation
public func dsa_e4m3_decode(
    _ codes: UnsafePointer<UInt8>?,
    _ count: Int64,
    _ x: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_e4m3_decode") { () throws(OracleFault) in
        try convert(codes, "codes", count, x, "x") { Kernels.widen(float8: $0, into: $1, count: $2) }
    }
}

/// `dsa_bf16_encode` of `dsa_oracle.h`.
@c @implementation
public func dsa_bf16_encode(
    _ x: UnsafePointer<Float>?,
    _ count: Int64,
    _ bits: UnsafeMutablePointer<UInt16>?
) -> Int32 {
    answer("dsa_bf16_encode") { () throws(OracleFault) in
        try convert(x, "x", count, bits, "bits") { Kernels.round($0, toBFloat16: $1, count: $2) }
    }
}

/// `dsa_bf16_decode` of `dsa_oracle.h`.
@c @implementation
public func dsa_bf16_decode(
    _ bits: UnsafePointer<UInt16>?,
    _ count: Int64,
    _ x: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_bf16_decode") { () throws(OracleFault) in
        try convert(bits, "bits", count, x, "x") { Kernels.widen(bfloat16: $0, into: $1, count: $2) }
    }
}

/// `dsa_hadamard` of `dsa_oracle.h`.
@c @implementation
public func dsa_hadamard(
    _ x: UnsafeRawPointer?,
    _ type: Int32,
    _ rows: Int64,
    _ columns: Int64,
    _ rotated: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_hadamard") { () throws(OracleFault) in
        let (rows, columns) = try (tokens(rows, "rows"), size(columns, "columns", in: 1...DSA_MAX_TOKENS))
        guard columns & (columns - 1) == 0 else {
            throw .argument("columns", found: "\(columns)", expected: "a power of two")
        }
        let values = try TypedArray(x, "x", ElementType(type, "type"), rows, columns)
        let target = try output(rotated, "rotated", rows, columns)
        let tensor = try values.tensor()
        let result = try core { () throws(SparseAttentionError) in try tensor.hadamardRotated() }
        copy(result, to: target)
    }
}

/// Converts a row of numbers from one format to another.
private func convert<Source, Target>(
    _ source: UnsafePointer<Source>?,
    _ sourceName: String,
    _ count: Int64,
    _ target: UnsafeMutablePointer<Target>?,
    _ targetName: String,
    _ body: (UnsafePointer<Source>, UnsafeMutablePointer<Target>, Int) -> Void
) throws(OracleFault) {
    guard count >= 0, let count = Int(exactly: count) else {
        throw .argument("count", found: "\(count)", expected: "at least 0")
    }
    let source = try input(source, sourceName, count)
    let target = try output(target, targetName, count)
    if let from = source.baseAddress, let to = target.baseAddress {
        body(from, to, count)
    }
}
