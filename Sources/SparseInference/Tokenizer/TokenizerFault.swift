public enum TokenizerFault: Error, Equatable, Sendable { case stub }
