//! Pack files: read, checked, and told apart.

use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use bartizan_engine::agent::LoadedPack;
use promptpack::{Finding, Pack, ReadOptions, Severity, SupportLevel};
use sha2::{Digest, Sha256};

use crate::{
    config::{Configuration, keys::did_you_mean},
    example,
    refusal::Refusal,
};

/// A pack and the file it came from.
pub struct PackFile {
    /// What the file is called in messages.
    pub name: String,
    /// The pack.
    pub loaded: LoadedPack,
}

/// Reads every pack of the configuration, or the example that is built in.
///
/// # Errors
/// Where a file is missing, is no pack, or where no pack has the prompt that was asked for.
pub fn read(
    configuration: &Configuration,
    warnings: &mut Vec<String>,
) -> Result<Vec<PackFile>, Refusal> {
    let options = ReadOptions::default();
    let mut packs = Vec::new();
    for place in &configuration.settings.packs {
        let bytes = bytes(&place.0, options.max_bytes)?;
        let name = place.0.display().to_string();
        let report = promptpack::read(&bytes, &options);
        for finding in &report.findings {
            if finding.severity == Severity::Warning {
                warnings.push(format!("{name}: {finding}"));
            }
        }
        let Some(pack) = report.pack else {
            return Err(Refusal::input(first_fault(&place.0, &report.findings)));
        };
        for feature in promptpack::support(&pack) {
            if feature.level == SupportLevel::NotRun && feature.feature != "tested_models" {
                warnings.push(format!("{name}: {}: {}", feature.feature, feature.reason));
            }
        }
        packs.push(PackFile { name, loaded: loaded(pack, &bytes) });
    }
    if packs.is_empty() {
        let bytes = example::PACK.as_bytes();
        let pack = promptpack::read(bytes, &options)
            .pack
            .ok_or_else(|| Refusal::input(format!("{} is no valid pack", example::NAME)))?;
        packs.push(PackFile { name: example::NAME.into(), loaded: loaded(pack, bytes) });
    }
    check_prompt(&packs, configuration)?;
    Ok(packs)
}

/// Whether every pack can be read at this moment; if not, what is wrong with each.
///
/// # Errors
/// One line for each that cannot.
pub fn recheck(files: &[PathBuf]) -> Result<(), Vec<String>> {
    let options = ReadOptions::default();
    let fault = |path: &PathBuf| match bytes(path, options.max_bytes) {
        Ok(bytes) => {
            let report = promptpack::read(&bytes, &options);
            (!report.is_valid()).then(|| first_fault(path, &report.findings))
        }
        Err(refusal) => Some(refusal.message),
    };
    let faults: Vec<String> = files.iter().filter_map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The prompt meant by the pack's name alone where the configuration chooses one.
pub fn chosen_entry(
    pack: &Pack,
    configuration: &Configuration,
    warnings: &mut Vec<String>,
) -> Option<String> {
    let settings = &configuration.settings;
    if let Some(prompt) = &settings.prompt {
        return pack.prompts.contains_key(prompt).then(|| prompt.clone());
    }
    let fallback = settings.prompt_fallback.as_ref()?;
    if declared_entry(pack).is_some() || pack.prompts.len() == 1 {
        return None;
    }
    if !pack.prompts.contains_key(fallback) {
        warnings.push(format!(
            "{}: has no prompt `{fallback}`; its entry is `{}`",
            pack.id,
            entry(pack).unwrap_or_default()
        ));
        return None;
    }
    Some(fallback.clone())
}

/// The pack's own entry: that of its workflow or agents, a prompt named `default`, or the first.
pub fn entry(pack: &Pack) -> Option<&str> {
    let known = |key: &str| pack.prompts.get_key_value(key).map(|(key, _)| key.as_str());
    declared_entry(pack)
        .or_else(|| known("default"))
        .or_else(|| pack.prompts.keys().next().map(String::as_str))
}

fn declared_entry(pack: &Pack) -> Option<&str> {
    let known = |key: &str| pack.prompts.get_key_value(key).map(|(key, _)| key.as_str());
    let workflow = pack
        .workflow
        .as_ref()
        .and_then(|workflow| workflow.states.get(&workflow.entry)?.prompt_task.as_deref());
    workflow.or_else(|| pack.agents.as_ref().map(|agents| agents.entry.as_str())).and_then(known)
}

fn loaded(pack: Pack, bytes: &[u8]) -> LoadedPack {
    let mut digest = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a `String` cannot fail.
        let _ = write!(digest, "{byte:02x}");
    }
    LoadedPack { pack: Arc::new(pack), digest }
}

/// The file's bytes; no more than it takes to see that they are too many.
pub fn bytes(path: &Path, most: usize) -> Result<Vec<u8>, Refusal> {
    let unreadable =
        |error| Refusal::input(format!("{}: cannot read the pack: {error}", path.display()));
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// One line about a pack that is refused.
pub fn first_fault(path: &Path, findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let first = errors.next().map(ToString::to_string).unwrap_or_default();
    let more = match errors.count() {
        0 => String::new(),
        more => format!("; and {more} more, see `bartizan pack check {}`", path.display()),
    };
    format!("{}: {first}{more}", path.display())
}

fn check_prompt(packs: &[PackFile], configuration: &Configuration) -> Result<(), Refusal> {
    let Some(prompt) = &configuration.settings.prompt else { return Ok(()) };
    let prompts =
        || packs.iter().flat_map(|file| file.loaded.pack.prompts.keys()).map(String::as_str);
    if prompts().any(|key| key == prompt) {
        return Ok(());
    }
    let near = did_you_mean(prompt, prompts());
    let known: Vec<&str> = prompts().collect();
    let reason =
        format!("no pack has the prompt `{prompt}`{near} (there are: {})", known.join(", "));
    Err(configuration.layers.refusal("prompt", &reason))
}
