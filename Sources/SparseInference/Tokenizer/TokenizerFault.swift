public import Foundation
public enum TokenizerFault: Error, Equatable, Sendable { case stub }
public struct Tokenizer: Sendable { public init(contentsOf: URL) throws { throw SparseInferenceError.tokenizer(file: "", .stub) }
 public func encode(_ t: String) -> [Int] { [] }
 public func decode(_ t: [Int], skippingSpecialTokens: Bool = false) throws -> String { "" }
 public var vocabularySize: Int { 0 } }
public struct StreamingDecoder { public init(_ t: Tokenizer) {}; public mutating func decode(_ i: Int) throws -> String { "" } ; public func finish() -> String { "" } }
