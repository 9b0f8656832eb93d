public import Foundation
import SparseInference

/// Specialists, one for each kind of task, whose right answers teach one model, which then learns from its own answers to all.
///
/// | in the folder | what it is |
/// | --- | --- |
/// | `posttraining.json`, `start` | what is carried out, and the path of the checkpoint it begins with |
/// | `base/` | that checkpoint in the sizes of all models |
/// | `NAME/` | a ``TrainingRun`` for each specialist, begun with the base |
/// | `distilled/` | another, begun with the base, taught by the specialists |
/// | `mixed/` | another, begun with the distilled model |
///
/// Source: V3.2 report, "Post-Training".
public struct PostTraining: Equatable, Sendable, Codable {
    /// What all random numbers come from.
    public var seed: UInt64
    /// The specialists.
    public var specialists: [Specialist]
    /// The stages of the distilled model; `teachers` of a distillation name specialists.
    public var distilled: [Recipe.Stage]
    /// The stages of the last model.
    public var mixed: [Recipe.Stage]

    /// A model that is good at some tasks.
    public struct Specialist: Equatable, Sendable, Codable {
        /// A name of its own.
        public var name: String
        /// What it goes through.
        public var stages: [Recipe.Stage]
    }

    /// A run of the whole.
    struct Part {
        let name: String
        let recipe: Recipe
        /// The part it begins with; the base when nil.
        let start: String?
    }

    /// Names of the parts that are no specialists.
    static let (distilledName, mixedName) = ("distilled", "mixed")

    /// The runs, in their order.
    var parts: [Part] {
        let teachers = Dictionary(
            specialists.map { ($0.name, "../\($0.name)/\($0.stages.last?.name ?? "")") },
            uniquingKeysWith: { first, _ in first }
        )
        let taught = distilled.map { stage in
            var stage = stage
            let named = stage.distillation?.teachers ?? [:]
            stage.distillation?.teachers = named.mapValues { teachers[$0] ?? $0 }
            return stage
        }
        func recipe(_ stages: [Recipe.Stage]) -> Recipe {
            Recipe(seed: seed, initialDeviation: Self.deviation, stages: stages)
        }
        return specialists.map { Part(name: $0.name, recipe: recipe($0.stages), start: nil) } + [
            Part(name: Self.distilledName, recipe: recipe(taught), start: nil),
            Part(name: Self.mixedName, recipe: recipe(mixed), start: Self.distilledName),
        ]
    }

    /// The same with dense attention in every stage: the control.
    public var control: PostTraining {
        func dense(_ stages: [Recipe.Stage]) -> [Recipe.Stage] {
            stages.map { stage in
                var stage = stage
                stage.attention = .dense
                return stage
            }
        }
        var control = self
        control.specialists = specialists.map { Specialist(name: $0.name, stages: dense($0.stages)) }
        control.distilled = dense(distilled)
        control.mixed = dense(mixed)
        return control
    }

    /// The recipe as a file.
    var json: Data { get throws { try JSONEncoder.forRecipes.encode(self) } }

    /// No part begins at random.
    private static let deviation: Float = 0.02
}

// MARK: - Reading

extension PostTraining {
    /// Reads and checks a recipe of post-training.
    ///
    /// - Parameter url: the file.
    /// - Throws: `RecipeFault`, or what the file system refuses.
    public init(contentsOf url: URL) throws {
        let (data, file) = (try Data(contentsOf: url), url.lastPathComponent)
        do {
            _ = try JSONValue(parsing: [UInt8](data))
            self = try JSONDecoder().decode(PostTraining.self, from: data)
        } catch let error as DecodingError {
            throw RecipeFault(error, file: file)
        } catch {
            throw RecipeFault.malformed(file: file, field: "recipe", reason: "\(error)")
        }
        try Recipe.refuseUnknownFields(data, of: withEveryField, file: file)
        try validate()
    }

    private var withEveryField: PostTraining {
        var full = self
        full.specialists = specialists.map { specialist in
            var specialist = specialist
            specialist.stages = specialist.stages.map(\.withEveryField)
            return specialist
        }
        full.distilled = distilled.map(\.withEveryField)
        full.mixed = mixed.map(\.withEveryField)
        return full
    }

    /// Checks every part.
    ///
    /// - Throws: `RecipeFault.invalid` for the first value that cannot be.
    public func validate() throws(RecipeFault) {
        let names = specialists.map(\.name)
        let taken = names.first {
            $0.isEmpty || $0.contains("/") || $0.hasPrefix(".") || $0 == Self.distilledName
                || $0 == Self.mixedName || PostTrainingRun.names.contains($0)
        }
        if let taken {
            throw .invalid(
                field: "specialists",
                found: "\"\(taken)\", a name that is a path or taken",
                expected: "plain names other than \(Self.distilledName) and \(Self.mixedName)"
            )
        }
        guard !names.isEmpty, Set(names).count == names.count else {
            throw .invalid(
                field: "specialists",
                found: names.isEmpty ? "empty" : "two of one name",
                expected: "at least one, with names of their own"
            )
        }
        for teacher in distilled.compactMap(\.distillation).flatMap(\.teachers.values)
        where !names.contains(teacher) {
            throw .invalid(
                field: "distilled.teachers",
                found: "\"\(teacher)\"",
                expected: "one of \(names.joined(separator: ", "))"
            )
        }
        for part in parts {
            do {
                try part.recipe.validate()
            } catch .invalid(let field, let found, let expected) {
                throw .invalid(field: "\(part.name): \(field)", found: found, expected: expected)
            }
        }
    }
}
