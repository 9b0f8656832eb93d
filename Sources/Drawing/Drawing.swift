public import Foundation

/// A picture in SVG, mark by mark.
public struct Drawing {
    /// Its width, in pixels.
    public let width: Double
    /// Its height, in pixels.
    public let height: Double
    private let title: String
    private var marks: [String] = []

    /// Colours that all pictures share.
    public enum Colour {
        /// Text and axes.
        public static let ink = "#1f2933"
        /// Remarks.
        public static let quiet = "#52606d"
        /// Grid lines.
        public static let faint = "#d5dbe1"
        /// Dense attention.
        public static let dense = "#c2410c"
        /// Sparse attention.
        public static let sparse = "#1d4ed8"
        /// What is looked for.
        public static let needle = "#15803d"
    }

    /// Where a text lies relative to its point.
    public enum Anchor: String {
        /// The text begins at the point.
        case start
        /// The text lies around it.
        case middle
        /// The text ends there.
        case end
    }

    /// An empty picture on white.
    ///
    /// - Parameters:
    ///   - width: in pixels.
    ///   - height: in pixels.
    ///   - title: what a screen reader says.
    public init(width: Double, height: Double, title: String) {
        self.width = width
        self.height = height
        self.title = title
    }

    /// The picture as an SVG document, or as an element of an HTML page.
    public var svg: String {
        let size = "width=\"\(Self.number(width))\" height=\"\(Self.number(height))\""
        let head =
            "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) viewBox=\"0 0 \(Self.number(width)) "
            + "\(Self.number(height))\" font-family=\"Helvetica, sans-serif\" role=\"img\">"
        let ground = "<rect \(size) fill=\"#ffffff\"/>"
        return ([head, "<title>\(Self.escaped(title))</title>", ground] + marks + ["</svg>"])
            .joined(separator: "\n") + "\n"
    }

    // MARK: Marks

    /// A line between two points.
    public mutating func line(
        from start: CGPoint,
        to end: CGPoint,
        colour: String = Colour.ink,
        width: Double = 1
    ) {
        marks.append(
            "<line x1=\"\(Self.number(start.x))\" y1=\"\(Self.number(start.y))\" "
                + "x2=\"\(Self.number(end.x))\" y2=\"\(Self.number(end.y))\" stroke=\"\(colour)\" "
                + "stroke-width=\"\(Self.number(width))\"/>"
        )
    }

    /// A line through points.
    public mutating func polyline(_ points: [CGPoint], colour: String, width: Double = 2.5) {
        let path = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
        marks.append(
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" "
                + "stroke-width=\"\(Self.number(width))\"/>"
        )
    }

    /// A point; `note` is shown when it is pointed at.
    public mutating func dot(_ point: CGPoint, colour: String, note: String) {
        marks.append(
            "<circle cx=\"\(Self.number(point.x))\" cy=\"\(Self.number(point.y))\" r=\"3.5\" "
                + "fill=\"\(colour)\"><title>\(Self.escaped(note))</title></circle>"
        )
    }

    /// A filled rectangle; `note` is shown when it is pointed at.
    public mutating func box(_ frame: CGRect, colour: String, opacity: Double = 1, note: String? = nil) {
        let title = note.map { "<title>\(Self.escaped($0))</title>" } ?? ""
        marks.append(
            "<rect x=\"\(Self.number(frame.minX))\" y=\"\(Self.number(frame.minY))\" "
                + "width=\"\(Self.number(frame.width))\" height=\"\(Self.number(frame.height))\" "
                + "fill=\"\(colour)\" fill-opacity=\"\(Self.number(opacity, digits: 2))\">\(title)</rect>"
        )
    }

    /// A line of text.
    public mutating func text(
        _ content: String,
        at point: CGPoint,
        size: Double = 12,
        isBold: Bool = false,
        colour: String = Colour.ink,
        anchor: Anchor = .start,
        isTurned: Bool = false
    ) {
        let (x, y) = (Self.number(point.x), Self.number(point.y))
        let turn = isTurned ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
        marks.append(
            "<text x=\"\(x)\" y=\"\(y)\" font-size=\"\(Self.number(size))\""
                + (isBold ? " font-weight=\"bold\"" : "")
                + " fill=\"\(colour)\" text-anchor=\"\(anchor.rawValue)\"\(turn)>\(Self.escaped(content))</text>"
        )
    }

    // MARK: Writing

    /// A number with at most some digits behind the point.
    static func number(_ value: Double, digits: Int = 1) -> String {
        let factor = pow(10, Double(digits))
        let rounded = (value * factor).rounded() / factor
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }

    /// Text that is no markup.
    public static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: "\"", with: "&quot;")
    }
}
