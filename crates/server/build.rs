//! Turns the contract's `.proto` file into Rust, without `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

#[allow(clippy::disallowed_methods, reason = "cargo names a build script's folder this way")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).open_file("omnia/runtime/v1/runtime.proto")?;
    // Kept for the reflection service, which has no use for comments.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("omnia.runtime.v1.bin"), compiler.encode_file_descriptor_set())?;
    compiler.include_source_info(true);
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::StrictCodec")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
