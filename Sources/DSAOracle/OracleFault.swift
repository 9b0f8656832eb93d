import CDSAOracle
import SparseAttention

/// Why a call of the C interface computes nothing: a code of `dsa_oracle.h` and the sentence that goes with it.
struct OracleFault: Error {
    let code: Int32
    let message: String

    /// An argument is outside what the function accepts.
    static func argument(_ name: String, found: String, expected: String) -> OracleFault {
        OracleFault(code: Int32(DSA_ERROR_ARGUMENT), message: "\(name) is \(found), expected \(expected)")
    }

    /// An input that must be finite is not.
    static func nonFinite(_ name: String, index: Int) -> OracleFault {
        OracleFault(
            code: Int32(DSA_ERROR_NON_FINITE),
            message: "\(name) holds a NaN or an infinity at element \(index), expected finite numbers"
        )
    }

    private init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }

    /// What the core refuses, after the checks of this module.
    init(_ error: SparseAttentionError) {
        code =
            switch error {
            case .nonFinite: Int32(DSA_ERROR_NON_FINITE)
            case .insufficientMemory: Int32(DSA_ERROR_MEMORY)
            default: Int32(DSA_ERROR_ARGUMENT)
            }
        message = error.description
    }

    /// The environment forces a kernel path that does not exist here.
    static func environment(_ error: SparseAttentionError) -> OracleFault {
        OracleFault(code: Int32(DSA_ERROR_ENVIRONMENT), message: error.description)
    }
}

/// Runs one call, and turns what it throws into a code and the calling thread's message.
///
/// - Parameters:
///   - function: the name in the header, which begins the message.
///   - body: checks every argument before it writes the first output.
/// - Returns: `DSA_OK`, or the code of the fault.
func answer(_ function: StaticString, _ body: () throws(OracleFault) -> Void) -> Int32 {
    do throws(OracleFault) {
        // The core stops the process when it meets an impossible kernel path; a caller gets an error instead.
        if let fault = environmentFault { throw fault }
        try body()
        return Int32(DSA_OK)
    } catch {
        dsa_oracle_set_error_message("\(function): \(error.message)")
        return error.code
    }
}

/// Runs a part of the core whose errors are faults of the call.
func core<Result>(_ body: () throws(SparseAttentionError) -> Result) throws(OracleFault) -> Result {
    do throws(SparseAttentionError) {
        return try body()
    } catch {
        throw OracleFault(error)
    }
}

private let environmentFault: OracleFault? = {
    do throws(SparseAttentionError) {
        try Kernels.validateEnvironment()
        return nil
    } catch {
        return .environment(error)
    }
}()
