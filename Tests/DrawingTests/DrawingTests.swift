import Drawing
import Foundation
import XCTest

#if canImport(FoundationXML)
    import FoundationXML
#endif

final class DrawingTests: XCTestCase {
    /// Collects the elements of a document, and whether it is well-formed.
    private final class Reader: NSObject, XMLParserDelegate {
        var elements: [(name: String, attributes: [String: String])] = []
        var text = ""

        func parser(
            _ parser: XMLParser,
            didStartElement name: String,
            namespaceURI: String?,
            qualifiedName: String?,
            attributes: [String: String]
        ) {
            elements.append((name, attributes))
        }

        func parser(_ parser: XMLParser, foundCharacters string: String) {
            text += string
        }
    }

    private func read(_ svg: String) -> Reader {
        let (parser, reader) = (XMLParser(data: Data(svg.utf8)), Reader())
        parser.delegate = reader
        XCTAssertTrue(parser.parse(), "\(String(describing: parser.parserError)) in \(svg)")
        return reader
    }

    func testMarksAreWellFormedWhateverTheirText() {
        let nasty = "a < b & \"c\" > 'd'"
        var drawing = Drawing(width: 100, height: 50.25, title: nasty)
        drawing.text(nasty, at: CGPoint(x: 1, y: 2), isBold: true, anchor: .middle, isTurned: true)
        drawing.dot(CGPoint(x: 3.14159, y: 4), colour: "#000000", note: nasty)
        drawing.box(CGRect(x: 1, y: 1, width: 2, height: 2), colour: "#000000", opacity: 0.123, note: nasty)
        drawing.line(from: .zero, to: CGPoint(x: 5, y: 6))
        drawing.polyline([.zero, CGPoint(x: 1, y: 1)], colour: "#000000")
        let reader = read(drawing.svg)
        XCTAssertEqual(reader.text.components(separatedBy: nasty).count - 1, 4)
        let names = reader.elements.map(\.name).filter { $0 != "title" }
        XCTAssertEqual(names, ["svg", "rect", "text", "circle", "rect", "line", "polyline"])
        let circle = reader.elements.first { $0.name == "circle" }
        XCTAssertEqual(circle?.attributes["cx"], "3.1")
    }

    func testPanelsPutValuesWhereTheAxesSay() {
        let frame = CGRect(x: 100, y: 50, width: 232, height: 200)
        let x = Axis("length", 1...100, isLogarithmic: true, ticks: [(1, "1"), (100, "100")])
        let y = Axis.linear("nats", over: [0, 8], from: 0)
        let curve = Panel.Curve(
            "loss",
            colour: "#000000",
            points: [(1, 0, nil), (10, 4, "here"), (100, 8, nil)]
        )
        let panel = Panel("Losses", x: x, y: y, curves: [curve], frame: frame)
        XCTAssertEqual(panel.point(10, 4), CGPoint(x: 216, y: 150))
        var drawing = Drawing(width: 400, height: 300, title: "Losses")
        panel.draw(in: &drawing)
        let reader = read(drawing.svg)
        let path = reader.elements.first { $0.name == "polyline" }?.attributes["points"]
        XCTAssertEqual(path, "116,250 216,150 316,50")
        XCTAssertEqual(reader.elements.filter { $0.name == "circle" }.count, 1)
        XCTAssertTrue(reader.text.contains("here"))
    }

    func testTicksAreRoundAndInside() {
        XCTAssertEqual(Axis.linear("", over: [0, 8], from: 0).ticks.map(\.name), ["0", "2", "4", "6", "8"])
        XCTAssertEqual(
            Axis.linear("", over: [0.12, 0.31]).ticks.map(\.name),
            ["0.15", "0.2", "0.25", "0.3"]
        )
        let logarithmic = Axis.logarithmic("", around: [0.3, 40])
        XCTAssertEqual(logarithmic.ticks.map(\.name), ["0.5", "1", "2", "5", "10", "20", "50"])
        // Nothing to show is no reason to fail.
        XCTAssertFalse(Axis.linear("", over: []).ticks.isEmpty)
        XCTAssertFalse(Axis.logarithmic("", around: [.nan, -1]).ticks.isEmpty)
    }
}
