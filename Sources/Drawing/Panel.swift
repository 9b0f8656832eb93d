public import Foundation

/// Curves over two axes.
public struct Panel {
    /// What it shows.
    public let title: String
    /// The horizontal axis.
    public let x: Axis
    /// The vertical axis.
    public let y: Axis
    /// The curves.
    public let curves: [Curve]
    /// Where the axes lie; titles and names lie around.
    public let frame: CGRect

    /// A curve with its points.
    public struct Curve {
        /// What it is called.
        public let name: String
        /// Its colour.
        public let colour: String
        /// The points, with what is shown when one is pointed at; a point without a note has no dot.
        public let points: [(x: Double, y: Double, note: String?)]

        /// A curve.
        public init(_ name: String, colour: String, points: [(x: Double, y: Double, note: String?)]) {
            self.name = name
            self.colour = colour
            self.points = points
        }
    }

    /// Room between the frame and its first and last point.
    private static let margin = 16.0

    /// A panel.
    public init(_ title: String, x: Axis, y: Axis, curves: [Curve], frame: CGRect) {
        self.title = title
        self.x = x
        self.y = y
        self.curves = curves
        self.frame = frame
    }

    /// Where a pair of values lies in the picture.
    public func point(_ x: Double, _ y: Double) -> CGPoint {
        CGPoint(
            x: frame.minX + Self.margin + (frame.width - 2 * Self.margin) * self.x.share(of: x),
            y: frame.maxY - frame.height * self.y.share(of: y)
        )
    }

    /// Adds the panel to a picture.
    public func draw(in drawing: inout Drawing) {
        drawing.text(title, at: CGPoint(x: frame.minX, y: frame.minY - 14), size: 14, isBold: true)
        for tick in y.ticks {
            let height = point(x.range.lowerBound, tick.value).y
            drawing.line(
                from: CGPoint(x: frame.minX, y: height),
                to: CGPoint(x: frame.maxX, y: height),
                colour: Drawing.Colour.faint
            )
            drawing.text(tick.name, at: CGPoint(x: frame.minX - 8, y: height + 4), anchor: .end)
        }
        for tick in x.ticks {
            let place = point(tick.value, y.range.lowerBound).x
            drawing.line(
                from: CGPoint(x: place, y: frame.maxY),
                to: CGPoint(x: place, y: frame.maxY + 5)
            )
            drawing.text(tick.name, at: CGPoint(x: place, y: frame.maxY + 20), anchor: .middle)
        }
        drawing.line(
            from: CGPoint(x: frame.minX, y: frame.maxY),
            to: CGPoint(x: frame.maxX, y: frame.maxY)
        )
        let below = CGPoint(x: frame.midX, y: frame.maxY + 42)
        drawing.text(x.label, at: below, size: 12.5, anchor: .middle)
        let beside = CGPoint(x: frame.minX - 42, y: frame.minY + 6)
        drawing.text(y.label, at: beside, size: 12.5, anchor: .end, isTurned: true)
        for curve in curves {
            drawing.polyline(curve.points.map { point($0.x, $0.y) }, colour: curve.colour)
            for dot in curve.points {
                guard let note = dot.note else { continue }
                drawing.dot(point(dot.x, dot.y), colour: curve.colour, note: note)
            }
        }
    }

    /// Adds the names of curves in their colours, one behind the other.
    public static func legend(_ curves: [Curve], from start: CGPoint, in drawing: inout Drawing) {
        var x = start.x
        for curve in curves {
            let y = start.y - 4
            drawing.line(
                from: CGPoint(x: x, y: y),
                to: CGPoint(x: x + 26, y: y),
                colour: curve.colour,
                width: 2.5
            )
            drawing.text(curve.name, at: CGPoint(x: x + 32, y: start.y), size: 13)
            x += 50 + 7.5 * Double(curve.name.count)
        }
    }
}
