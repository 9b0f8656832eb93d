import Foundation

/// The target of this process, as `DSA_FUZZ` names it; fixed at the first input.
private let target: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["DSA_FUZZ"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
        preconditionFailure("DSA_FUZZ is \"\(name)\", expected one of \(known)")
    }
    return target
}()

/// What libFuzzer calls with each input.
///
/// Source: LLVM `docs/LibFuzzer.rst`, *Fuzz Target*.
@c(LLVMFuzzerTestOneInput)
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target.run(Input(UnsafeRawBufferPointer(start: data, count: count)))
    return 0
}
