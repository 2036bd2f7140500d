//! The example's files serve as files too, on the ports that they name.

use serde_json::json;

use crate::support::{Desk, workspace};

#[test]
fn its_files_are_what_is_built_in() {
    let packs = workspace().join("packs");
    let file = |name: &str| packs.join(name).display().to_string();
    let desk =
        Desk::new().typed("hello\n").env("BARTIZAN_TOOLS__FILE", file("concierge.tools.yaml"));
    let outcome = desk.run(&format!(
        "chat {} --mock {}",
        file("concierge.pack.json"),
        file("concierge.mock.yaml")
    ));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(outcome.stderr, "", "nothing to warn of");
    let shown = desk.json(&format!("pack show --json {}", file("concierge.pack.json")));
    assert_eq!(shown["entry"], "welcome");
    assert_eq!(shown["findings"], json!([]));
}
