//! House rules that neither the compiler nor clippy checks. Each rule is a function from a file to what
//! is wrong with it, so that each can be shown to find something.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::workspace;

/// A file longer than this is two ideas.
const LONGEST: usize = 600;

/// A Rust source file of the workspace.
struct Source {
    /// Path from the workspace's folder, with `/`.
    path: String,
    text: String,
}

impl Source {
    fn crate_folder(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }

    /// Whether it is compiled into what we ship.
    fn ships(&self) -> bool {
        let in_src = self.path.split('/').nth(2) == Some("src");
        in_src && self.crate_folder() != "testkit" && !self.path.ends_with("tests.rs")
    }

    /// The lines of code that ship: no comments, and nothing from the test module on, which stands
    /// last in a file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        let shipped = lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        shipped
            .map(|(index, line)| (index + 1, line.trim()))
            .filter(|(_, line)| !line.starts_with("//"))
    }

    /// Where any of the words stands in code that ships, beside the folder that may use it.
    fn uses(&self, words: &[&str], allowed: &str, rule: &str) -> Vec<String> {
        if !self.ships() || self.crate_folder() == allowed {
            return Vec::new();
        }
        let hits = self.code().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        hits.map(|(number, _)| format!("{}:{number}: {rule}", self.path)).collect()
    }
}

fn begins_with_its_purpose(source: &Source) -> Vec<String> {
    let in_src = source.path.split('/').nth(2) == Some("src");
    if !in_src || source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!("{}: does not begin with a //! comment that says what it is for", source.path)]
}

fn is_one_idea(source: &Source) -> Vec<String> {
    match source.text.lines().count() {
        lines if lines > LONGEST => vec![format!("{}: {lines} lines, over {LONGEST}", source.path)],
        _ => Vec::new(),
    }
}

fn only_net_opens_sockets_outward(source: &Source) -> Vec<String> {
    let words =
        ["reqwest::Client::new", "reqwest::Client::builder", "reqwest::get", "TcpStream::connect"];
    source.uses(&words, "net", "only the net crate makes HTTP clients and opens connections")
}

fn only_the_binary_reads_the_environment(source: &Source) -> Vec<String> {
    let words = ["env::var", "env::vars", "env::var_os", "env::vars_os"];
    source.uses(&words, "bartizan", "only the bartizan crate reads the environment")
}

fn only_the_binary_prints(source: &Source) -> Vec<String> {
    let words = ["println!", "print!(", "dbg!("];
    source.uses(&words, "bartizan", "only the bartizan crate prints")
}

const RULES: [fn(&Source) -> Vec<String>; 5] = [
    begins_with_its_purpose,
    is_one_idea,
    only_net_opens_sockets_outward,
    only_the_binary_reads_the_environment,
    only_the_binary_prints,
];

#[test]
fn every_file_keeps_the_house_rules() {
    let root = workspace();
    let mut files = Vec::new();
    collect(&root.join("crates"), &mut files);
    assert!(files.len() > 20, "the workspace's files were not found");
    let mut faults = Vec::new();
    for file in files {
        let path = file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        let source = Source { path, text: fs::read_to_string(&file).unwrap() };
        faults.extend(RULES.iter().flat_map(|rule| rule(&source)));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_crate_forbids_unsafe_code_through_the_workspaces_lints() {
    let root = workspace();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\""));
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        let file = entry.unwrap().path().join("Cargo.toml");
        let manifest = fs::read_to_string(&file).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{}", file.display());
    }
}

#[test]
fn each_rule_finds_what_it_is_for() {
    let faulty = |path: &str, text: &str| {
        let source = Source { path: path.into(), text: text.into() };
        RULES.iter().flat_map(|rule| rule(&source)).collect::<Vec<_>>()
    };
    let with = |line: &str| format!("//! Purpose.\n{line}\n");
    assert_eq!(faulty("crates/engine/src/a.rs", "use b;\n").len(), 1);
    assert_eq!(faulty("crates/engine/src/a.rs", &with(&"\n".repeat(LONGEST))).len(), 1);
    for line in [
        "let client = reqwest::Client::new();",
        "let client = reqwest::Client::builder().build();",
        "TcpStream::connect(address)",
        "std::env::var(\"HOME\")",
        "println!()",
        "eprintln!()",
    ] {
        assert_eq!(faulty("crates/engine/src/a.rs", &with(line)).len(), 1, "{line}");
        let tested = with(&format!("#[cfg(test)]\nmod tests {{\n{line}\n}}"));
        assert_eq!(faulty("crates/engine/src/a.rs", &tested), [""; 0], "{line}");
        assert_eq!(faulty("crates/engine/src/a.rs", &with(&format!("// {line}"))), [""; 0]);
        assert_eq!(faulty("crates/engine/tests/it/a.rs", &with(line)), [""; 0], "{line}");
    }
    assert_eq!(faulty("crates/net/src/a.rs", &with("reqwest::Client::new()")), [""; 0]);
    assert_eq!(faulty("crates/bartizan/src/a.rs", &with("env::var(\"HOME\")")), [""; 0]);
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
