//! Prints what a check says about packs: `cargo run --example check FILE…`.
#![allow(clippy::print_stdout, reason = "a program for people")]
fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let report = promptpack::read(&std::fs::read(&path)?, &promptpack::ReadOptions::default());
        println!(
            "{path}: valid {} needs {} {:?} {:?}",
            report.is_valid(),
            report.needs,
            report.needs_pointer,
            report.fragment_styles
        );
        for finding in report.findings {
            println!("  {finding}");
        }
    }
    Ok(())
}
