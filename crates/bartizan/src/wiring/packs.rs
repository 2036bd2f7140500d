//! Pack files: read, checked, and told apart.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bartizan_engine::agent::{LoadedPack, declared_entry, entry};
use promptpack::{Code, Finding, Mode, Pack, ReadOptions, Severity, SupportLevel};
use sha2::{Digest, Sha256};

use crate::{
    config::{Configuration, keys::did_you_mean, settings::PackMode},
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
    let options = options(configuration.settings.pack_mode);
    let mut packs = Vec::new();
    for place in &configuration.settings.packs {
        let bytes = bytes(&place.0, options.max_bytes)?;
        let name = place.0.display().to_string();
        let report = promptpack::read(&bytes, &options);
        for finding in &report.findings {
            if finding.severity == Severity::Warning {
                let text = finding.to_string();
                let text = text.strip_prefix("warning ").unwrap_or(&text);
                let lost = lost(finding).map(|lost| format!(": {lost}")).unwrap_or_default();
                warnings.push(format!("{name}: {text}{lost}"));
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

/// What will not work because of the fault, where the fault itself does not say it. Prompts that
/// cannot be served at all are named one by one in [`leave_out_unusable`].
fn lost(finding: &Finding) -> Option<&'static str> {
    match finding.code {
        Code::UnknownTool if finding.pointer.contains("/blocklist/") => {
            Some("it blocks only what the tool file binds")
        }
        Code::UnknownTool => Some("the model is not offered it unless the tool file binds it"),
        Code::UndeclaredVariable => {
            Some("a turn is refused unless the caller gives it a value, which is not checked")
        }
        Code::BadDefault => Some("a turn is refused unless the caller gives another value"),
        Code::MinAboveMax if finding.pointer.contains("/variables/") => {
            Some("a turn that gives it a value is refused")
        }
        Code::UnknownFragment | Code::FragmentCycle | Code::FragmentTooLarge => {
            Some("no prompt that uses it is served")
        }
        _ => None,
    }
}

/// How packs are read in this mode.
pub fn options(mode: PackMode) -> ReadOptions {
    let mode = match mode {
        PackMode::Strict => Mode::Strict,
        PackMode::Lenient => Mode::Lenient,
    };
    ReadOptions { mode, ..ReadOptions::default() }
}

/// Whether every pack can be read at this moment; if not, what is wrong with each.
///
/// # Errors
/// One line for each that cannot.
pub fn recheck(files: &[PathBuf], mode: PackMode) -> Result<(), Vec<String>> {
    let options = options(mode);
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

/// Leaves out the prompts that cannot be put together for `model` (a fragment that is missing or
/// lies in itself, a pattern that is none) and says so. All others can be served.
///
/// The prompt meant by the pack's name alone stays, and with it the pack is refused: that name
/// must never come to mean another prompt than the pack says.
pub fn leave_out_unusable(
    file: &mut PackFile,
    chosen: Option<&str>,
    model: &str,
    warnings: &mut Vec<String>,
) {
    let pack = &file.loaded.pack;
    let entry = chosen.or_else(|| entry(pack));
    let unusable: Vec<(String, String)> = pack
        .prompts
        .keys()
        .filter(|key| Some(key.as_str()) != entry)
        .filter_map(|key| {
            let error = pack.compile(key, Some(model)).err()?;
            Some((key.clone(), error.to_string()))
        })
        .collect();
    if unusable.is_empty() {
        return;
    }
    let mut pack = Pack::clone(pack);
    for (key, error) in unusable {
        pack.prompts.shift_remove(&key);
        warnings.push(format!("{}: {}/{key} is not served: {error}", file.name, pack.id));
    }
    file.loaded.pack = Arc::new(pack);
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
    // A pipe would be waited for without end, and `/readyz` reads the file again and again.
    let kind = fs::metadata(path).map_err(unreadable)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(Refusal::input(format!(
            "{}: cannot read the pack: it is a pipe or a device, not a file (the commands of \
             `bartizan pack` read standard input as `-`)",
            path.display()
        )));
    }
    bounded(fs::File::open(path).map_err(unreadable)?, most).map_err(unreadable)
}

/// All there is to read; no more than it takes to see that it is too much.
pub fn bounded(source: impl io::Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
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
