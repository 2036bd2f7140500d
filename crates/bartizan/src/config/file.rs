//! `bartizan.yaml`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    check::Source,
    layers::{Candidate, Origin},
    node::Node,
};
use crate::refusal::Refusal;

/// The name that is looked for in the working directory.
pub const NAME: &str = "bartizan.yaml";

/// Larger than any configuration that a person keeps.
const LARGEST: u64 = 4 * 1024 * 1024;

/// The configuration file, read.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub candidates: Vec<Candidate>,
}

/// Reads the file that was asked for, or the one in the working directory if there is one.
///
/// # Errors
/// Where a file that was asked for is missing, and where a file makes no sense.
pub fn read(asked: Option<&Path>) -> Result<Option<File>, Refusal> {
    let path = asked.unwrap_or(Path::new(NAME));
    let text = match text_of(path) {
        Ok(text) => text,
        Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => {
            return Err(Refusal::input(format!(
                "{}: cannot read the configuration: {error}",
                path.display()
            )));
        }
    };
    let node = Node::read(&text).map_err(|error| {
        let line = error.location().map(|place| format!(":{}", place.line())).unwrap_or_default();
        Refusal::configuration(format!("{}{line}: {}", path.display(), reason(&error)))
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let origin = |line| Origin::File { path: path.to_owned(), line };
    let candidates = Source { base: folder, origin: &origin }.candidates(node)?;
    Ok(Some(File { path: path.to_owned(), candidates }))
}

fn text_of(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LARGEST {
        return Err(io::Error::other("the file is larger than 4 MiB"));
    }
    fs::read_to_string(path)
}

/// What is wrong, without the line, which is said already, and without advice for programmers.
fn reason(error: &serde_saphyr::Error) -> String {
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error.without_snippet() {
        let key = key.as_deref().unwrap_or("a key");
        return format!("`{key}` is there twice; keep one");
    }
    let text = error.without_snippet().to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    format!("not readable as YAML: {reason}")
}
