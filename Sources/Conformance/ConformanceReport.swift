package import Foundation
import SparseInference

/// The outcomes of a run, as a table or as JSON.
package struct ConformanceReport {
    /// One case with what became of it.
    package struct Row {
        /// The case's name.
        package let name: String
        /// What became of it.
        package let outcome: Outcome

        /// `passed`, `failed` or `skipped`.
        package var verdict: String {
            switch outcome {
            case .measured(let measurement): measurement.isPassed ? "passed" : "failed"
            case .failed: "failed"
            case .skipped: "skipped"
            }
        }
    }

    /// The cases in order.
    package private(set) var rows: [Row] = []

    /// An empty report.
    package init() {}

    /// Runs a case and keeps its outcome.
    ///
    /// - Returns: the new row.
    @discardableResult
    package mutating func run(_ item: ConformanceCase) -> Row {
        let outcome: Outcome
        do {
            outcome = try item.run()
        } catch {
            outcome = .failed("\(error)")
        }
        let row = Row(name: item.name, outcome: outcome)
        rows.append(row)
        return row
    }

    /// How many cases have a verdict.
    package func count(_ verdict: String) -> Int {
        rows.count { $0.verdict == verdict }
    }

    /// The closing line.
    package var summary: String {
        "\(count("passed")) passed, \(count("failed")) failed, \(count("skipped")) skipped"
    }
}

// MARK: - Formats

extension ConformanceReport.Row {
    /// One line of the table: case, error, bound, verdict, and what to know about it.
    package func line(nameWidth: Int) -> String {
        let (error, bound, note) = columns
        return [
            name.padding(toLength: max(nameWidth, name.count), withPad: " ", startingAt: 0),
            pad(error, 10), pad(bound, 10), verdict.padding(toLength: 8, withPad: " ", startingAt: 0), note,
        ].joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }

    private var columns: (error: String, bound: String, note: String) {
        switch outcome {
        case .measured(let measurement):
            let isExact = measurement.bound == 0
            return (
                isExact && measurement.error == 0 ? "0" : String(format: "%.2e", measurement.error),
                isExact ? "exact" : String(format: "%.0e", measurement.bound),
                measurement.isPassed ? "" : measurement.place
            )
        case .failed(let reason): return ("-", "-", reason)
        case .skipped(let reason): return ("-", "-", reason)
        }
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}

extension ConformanceReport {
    /// The head of the table.
    package static func header(nameWidth: Int) -> String {
        "case".padding(toLength: nameWidth, withPad: " ", startingAt: 0) + "       error       bound  verdict"
    }

    /// The report as a JSON document.
    ///
    /// - Throws: when the document cannot be encoded.
    package func json() throws -> Data {
        let document = Document(
            passed: count("passed"),
            failed: count("failed"),
            skipped: count("skipped"),
            cases: rows.map(Document.Case.init)
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity",
            negativeInfinity: "-Infinity",
            nan: "NaN"
        )
        return try encoder.encode(document)
    }

    private struct Document: Encodable {
        let passed: Int
        let failed: Int
        let skipped: Int
        let cases: [Case]

        struct Case: Encodable {
            let name: String
            let verdict: String
            var error: Double?
            var bound: Double?
            var note: String?

            init(_ row: Row) {
                name = row.name
                verdict = row.verdict
                switch row.outcome {
                case .measured(let measurement):
                    error = measurement.error
                    bound = measurement.bound
                    note = measurement.isPassed ? nil : measurement.place
                case .failed(let reason), .skipped(let reason):
                    note = reason
                }
            }
        }
    }
}
