//! The doors: gRPC, OpenAI, REST, operations.
