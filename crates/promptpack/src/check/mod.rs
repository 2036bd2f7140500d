//! Whether the parts of a pack fit each other.

use crate::Pack;
use crate::findings::Findings;

/// Checks every cross-reference of `pack`.
pub(crate) fn run(_pack: &Pack, _findings: &mut Findings) {}
