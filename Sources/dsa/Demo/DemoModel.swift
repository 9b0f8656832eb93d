import Foundation

/// The model that comes along, with the recipe it was trained by.
enum DemoModel {
    /// What it is called on the command line.
    static let name = "demo"

    /// Where it lies.
    static var folder: URL {
        get throws {
            guard let folder = Bundle.module.url(forResource: "Model", withExtension: nil) else {
                throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: "Model"])
            }
            return folder
        }
    }

    /// The tokens it reads in a demonstration.
    static let length = 16384
}
