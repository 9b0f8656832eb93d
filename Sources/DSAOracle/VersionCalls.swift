import CDSAOracle
import Foundation
import SparseAttention

/// `dsa_abi_version` of `dsa_oracle.h`.
@c @implementation
public func dsa_abi_version() -> Int32 {
    DSA_ABI_VERSION
}

/// `dsa_description` of `dsa_oracle.h`.
@c @implementation
public func dsa_description() -> UnsafePointer<CChar>? {
    UnsafePointer(description.text)
}

/// Text that lives as long as the process.
private struct PermanentText: @unchecked Sendable {
    // Sendable: never written after it is made, never freed.
    let text: UnsafeMutablePointer<CChar>?
}

private let description: PermanentText = {
    let kernels =
        answer("dsa_description", {}) == DSA_OK
        ? Kernels.name : "unusable: " + String(cString: dsa_last_error_message())
    return PermanentText(text: strdup("kernels \(kernels); \(BLAS.description)"))
}()
