//! The gRPC door, by a real client over a real socket, with a scripted model behind it.

mod bad_input;
mod contract;
mod drain;
mod functions;
mod sessions;
mod support;
mod tools;
