import COpenBLAS
import Foundation

/// The library that multiplies large matrices of float32, and the kernels it chose for this processor.
///
/// OpenBLAS chooses by the processor's model number when it is loaded. A release older than the processor falls back to
/// kernels of 2004, seven times slower than those the processor could run, and says nothing: 0.3.21, which Debian 12
/// has, does so on Intel's servers of 2023 and later.
public enum OpenBLAS {
    /// The name of the kernels in use, such as `SkylakeX`.
    public static var kernels: String { String(cString: openblas_get_corename()) }

    /// The variable of the environment that tells OpenBLAS what to choose.
    static let environmentVariable = "OPENBLAS_CORETYPE"

    /// Lets OpenBLAS choose again, with a hint, where it did not recognise the processor.
    ///
    /// Does nothing where its choice is fair, where the environment made it, or where OpenBLAS was built for one
    /// processor. Programs call it first thing: it changes the environment for a moment, and no product may be under
    /// way. The command-line tools do; a program that does not can be started with `OPENBLAS_CORETYPE=SkylakeX`.
    ///
    /// Source: OpenBLAS `driver/others/dynamic.c`, `gotoblas_dynamic_init`.
    ///
    /// - Returns: the name of the kernels it had chosen, when it has others now; nil otherwise.
    @discardableResult
    public static func matchProcessor() -> String? {
        let chosen = kernels
        guard getenv(environmentVariable) == nil,
            let better = betterKernels(than: chosen, supported: Kernels.supported),
            let forget = function("gotoblas_dynamic_quit"), let choose = function("gotoblas_dynamic_init")
        else { return nil }
        setenv(environmentVariable, better, 1)
        defer { unsetenv(environmentVariable) }
        forget()
        choose()
        return kernels == chosen ? nil : chosen
    }

    /// Kernels that a processor runs and that are far faster than those chosen; nil when those are fair.
    ///
    /// - Parameters:
    ///   - chosen: OpenBLAS's choice.
    ///   - supported: the kernel tables of this package that the processor runs.
    /// - Returns: the name OpenBLAS knows them by.
    static func betterKernels(than chosen: String, supported: [String]) -> String? {
        guard withoutFusedMultiplyAdd.contains(chosen) else { return nil }
        return supported.contains("avx512") ? "SkylakeX" : supported.contains("avx2") ? "Haswell" : nil
    }

    /// Kernels for x86 processors without fused multiply-add.
    ///
    /// Source: OpenBLAS `driver/others/dynamic.c`, `corename`.
    private static let withoutFusedMultiplyAdd: Set<String> = [
        "Unknown", "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Atom", "Core2", "Penryn",
        "Dunnington",
        "Nehalem", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Nano", "Sandybridge", "Bobcat",
    ]

    /// RTLD_DEFAULT, which is a macro that Swift does not import.
    private static var anywhere: UnsafeMutableRawPointer? {
        #if canImport(Darwin)
            UnsafeMutableRawPointer(bitPattern: -2)
        #else
            nil
        #endif
    }

    /// A function that OpenBLAS exports but does not declare.
    private static func function(_ name: String) -> (@convention(c) () -> Void)? {
        dlsym(anywhere, name).map { unsafeBitCast($0, to: (@convention(c) () -> Void).self) }
    }
}
