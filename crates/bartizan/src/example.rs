//! The agent that is built in: what `bartizan serve` serves when no pack is named.
//!
//! The three files stand in `packs/` and can be copied from there as a start for one's own.

use std::net::SocketAddr;

/// The pack.
pub const PACK: &str = include_str!("../../../packs/concierge.pack.json");

/// What the mock says for it.
pub const MOCK: &str = include_str!("../../../packs/concierge.mock.yaml");

/// The name that stands where a file's would.
pub const NAME: &str = "the built-in example";

/// What binds the pack's tool: Bartizan's own list of agents, wherever it listens.
pub fn tools(http: SocketAddr) -> String {
    include_str!("../../../packs/concierge.tools.yaml").replace("127.0.0.1:8080", &http.to_string())
}
