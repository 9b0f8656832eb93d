import Foundation
import SparseAttention

#if canImport(Darwin)
    import Darwin
#endif

/// The machine and the build a report was made with.
struct Machine: Encodable {
    /// The processor's name.
    let processor = Self.processorName
    /// The active processors.
    let processors = ProcessInfo.processInfo.activeProcessorCount
    /// The machine's memory in bytes.
    let memoryBytes = ProcessInfo.processInfo.physicalMemory
    /// The operating system.
    let system = ProcessInfo.processInfo.operatingSystemVersionString
    /// The threads the operators use.
    let threads: Int
    /// The kernel table in use.
    let kernels = Kernels.name
    /// OpenBLAS's version and the kernels it chose.
    let blas = BLAS.description
    /// The compiler the executable was built with.
    let compiler = Self.compilerName
    /// Whether the build is optimized; timings of any other mean nothing.
    let isOptimized = Self.isOptimizedBuild

    /// This machine, with the threads the operators use.
    init(threads: Int) {
        self.threads = threads
    }

    /// The lines at the head of a report.
    var summary: String {
        let memory = String(format: "%.1f GiB", Double(memoryBytes) / 1_073_741_824)
        return """
            processor  \(processor), \(processors) active, \(memory)
            threads    \(threads)
            kernels    \(kernels)
            BLAS       \(blas)
            built by   \(compiler)\(isOptimized ? "" : ", NOT OPTIMIZED: build with -c release")
            """
    }

    private static var processorName: String {
        #if canImport(Darwin)
            var length = 0
            guard sysctlbyname("machdep.cpu.brand_string", nil, &length, nil, 0) == 0 else {
                return "unknown"
            }
            var name = [UInt8](repeating: 0, count: length)
            guard sysctlbyname("machdep.cpu.brand_string", &name, &length, nil, 0) == 0 else {
                return "unknown"
            }
            return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
        #else
            let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
            let line = information.split(separator: "\n").first { $0.hasPrefix("model name") }
            let name = line?.split(separator: ":", maxSplits: 1).last
            return name?.trimmingCharacters(in: .whitespaces) ?? "unknown"
        #endif
    }

    private static var compilerName: String {
        #if compiler(>=6.4)
            "Swift 6.4 or later"
        #elseif compiler(>=6.3)
            "Swift 6.3"
        #elseif compiler(>=6.2)
            "Swift 6.2"
        #else
            "Swift before 6.2"
        #endif
    }

    private static var isOptimizedBuild: Bool {
        #if DEBUG
            false
        #else
            true
        #endif
    }
}
