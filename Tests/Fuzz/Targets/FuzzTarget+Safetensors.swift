import Conformance
import SparseInference

extension FuzzTarget {
    /// Opens a file and reads every tensor in every way.
    func openSafetensors(_ input: consuming Input) throws {
        let bytes = input.remainder()
        let file = try bytes.withUnsafeBytes {
            try SafetensorsFile(MappedFile(copying: $0, name: "file.safetensors"))
        }
        for name in file.names {
            let entry = try file.find(name)
            _ = try file.bytesSum(entry)
            precondition(entry.elementCount * entry.dataType.byteWidth == entry.byteCount)
            for read in [
                { _ = try file.floats(of: name) }, { _ = try file.doubles(of: name) },
                { _ = try file.int32s(of: name) }, { _ = try file.bytes(of: name) },
            ] {
                do { try read() } catch { check(error) }
            }
        }
    }

    /// Compares two dumps: two headers, then the bytes their data repeat.
    func compareStages(_ input: consuming Input) throws {
        let fill = input.remainder(afterTexts: 2)
        let ours = try input.file(named: "ours.safetensors", fill: fill)
        let theirs = try input.file(named: "theirs.safetensors", fill: fill.reversed())
        for row in try StageDiff(ours, theirs).rows {
            precondition(!row.name.isEmpty || ours.tensors[""] != nil)
        }
        let same = try StageDiff(ours, ours)
        precondition(same.first == nil)
    }
}

extension SafetensorsFile {
    /// The sum of a tensor's bytes, so that each one is read.
    fileprivate func bytesSum(_ entry: TensorEntry) throws -> Int {
        try withBytes(of: entry.name) { $0.reduce(0) { $0 + Int($1) } }
    }
}
