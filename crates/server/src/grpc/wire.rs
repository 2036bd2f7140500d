//! The contract's messages, generated from `proto/omnia/runtime/v1/runtime.proto`.
#![allow(
    missing_docs,
    clippy::allow_attributes_without_reason,
    reason = "generated; the comments that matter are in the .proto file"
)]

tonic::include_proto!("omnia.runtime.v1");

/// The contract in compiled form, for the reflection service.
pub(super) const DESCRIPTORS: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/omnia.runtime.v1.bin"));
