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
    let start = secondsOfThread()
    target.run(Input(UnsafeRawBufferPointer(start: data, count: count)))
    let taken = secondsOfThread() - start
    precondition(taken < 1, "took \(taken) s of processor time")
    return 0
}

/// Processor time, which other processes on the machine do not lengthen as they do that of the wall clock.
private func secondsOfThread() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}
