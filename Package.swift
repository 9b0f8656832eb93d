// swift-tools-version: 6.1
import PackageDescription

/// Features of the language every target of this package is written with.
let settings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
]

/// What only the executables need; a dependent with `traits: []` fetches none of it.
let argumentParser = Target.Dependency.product(
    name: "ArgumentParser",
    package: "swift-argument-parser",
    condition: .when(traits: ["CommandLineTools"])
)
let logging = Target.Dependency.product(
    name: "Logging",
    package: "swift-log",
    condition: .when(traits: ["CommandLineTools"])
)

let package = Package(
    name: "SparseAttention",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "SparseAttention", targets: ["SparseAttention"]),
        .library(name: "SparseInference", targets: ["SparseInference"]),
        .library(name: "SparseTraining", targets: ["SparseTraining"]),
        .executable(name: "dsa", targets: ["dsa"]),
        .executable(name: "dsa-bench", targets: ["dsa-bench"]),
    ],
    traits: [
        .trait(name: "CommandLineTools", description: "The executables dsa and dsa-bench."),
        .default(enabledTraits: ["CommandLineTools"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
        // For `swift package generate-documentation` here; no target uses it, so no dependent fetches it.
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.4.0"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS",
            pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]
        ),
        .systemLibrary(
            name: "CLAPACKE",
            pkgConfig: "lapacke",
            providers: [.apt(["liblapacke-dev"]), .brew(["lapack"])]
        ),
        .target(
            name: "CKernels",
            cSettings: [.define("_GNU_SOURCE", .when(platforms: [.linux]))]
        ),
        .target(
            name: "SparseAttention",
            dependencies: ["COpenBLAS", "CLAPACKE", "CKernels"],
            swiftSettings: settings
        ),
        .target(name: "SparseInference", dependencies: ["SparseAttention"], swiftSettings: settings),
        .target(name: "SparseTraining", dependencies: ["SparseInference"], swiftSettings: settings),
        .target(name: "Drawing", swiftSettings: settings),
        .target(name: "Conformance", dependencies: ["SparseTraining"], swiftSettings: settings),
        .executableTarget(
            name: "dsa",
            dependencies: [
                "SparseInference", "SparseTraining", "Conformance", "Drawing", argumentParser, logging,
            ],
            exclude: ["PostTraining"],
            resources: [.copy("Model")],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "dsa-bench",
            dependencies: ["SparseTraining", "Drawing", argumentParser],
            path: "Benchmarks",
            swiftSettings: settings
        ),
        .target(
            name: "TestSupport",
            dependencies: ["SparseAttention"],
            path: "Tests/TestSupport",
            swiftSettings: settings
        ),
        .testTarget(name: "CKernelsTests", dependencies: ["CKernels"], swiftSettings: settings),
        .testTarget(
            name: "SparseAttentionTests",
            dependencies: ["SparseAttention", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SparseInferenceTests",
            dependencies: ["SparseInference", "TestSupport"],
            resources: [.copy("Fixtures")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "SparseTrainingTests",
            dependencies: ["SparseTraining", "TestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ConformanceTests",
            dependencies: ["Conformance", "TestSupport"],
            resources: [.copy("Fixtures")],
            swiftSettings: settings
        ),
        .testTarget(
            name: "CommandLineTests",
            dependencies: ["dsa"],
            swiftSettings: settings
        ),
        .testTarget(name: "DrawingTests", dependencies: ["Drawing"], swiftSettings: settings),
        .testTarget(
            name: "ExampleTests",
            dependencies: ["SparseAttention", "SparseInference", "SparseTraining", "TestSupport"],
            swiftSettings: settings
        ),
    ],
    swiftLanguageModes: [.v6]
)

// The fuzz targets have no `main`, libFuzzer brings it: only `.ci/fuzz` asks for them.
if Context.environment["DSA_FUZZ"] != nil {
    package.targets.append(
        .executableTarget(
            name: "dsa-fuzz",
            dependencies: ["SparseInference", "SparseTraining", "Conformance"],
            path: "Tests/Fuzz",
            exclude: ["README.md", "Seeds", "Dictionaries"],
            sources: ["Targets"],
            swiftSettings: settings
        )
    )
}

// The C interface is written with the attribute @c (SE-0495), which older compilers do not have.
#if compiler(>=6.3)
    package.products.append(.library(name: "DSAOracle", type: .dynamic, targets: ["DSAOracle"]))
    package.targets += [
        .target(name: "CDSAOracle"),
        .target(
            name: "DSAOracle",
            dependencies: ["CDSAOracle", "SparseAttention"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "DSAOracleTests",
            dependencies: ["DSAOracle", "CDSAOracle", "SparseInference", "TestSupport"],
            resources: [.copy("Examples")],
            swiftSettings: settings
        ),
    ]
#endif
