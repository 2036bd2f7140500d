//! Prompts, tools, agents and required providers.

use std::collections::HashSet;

use super::{Checker, Place};
use crate::decode::excerpt;
use crate::finding::Code;

/// How PromptKit names the tool that calls an agent.
const AGENT_TOOL_PREFIX: &str = "a2a__";

impl Checker<'_, '_> {
    pub(super) fn prompts(&mut self) {
        let pack = self.pack;
        for (key, tool) in &pack.tools {
            if *key != tool.name && !tool.name.is_empty() {
                self.report(
                    Code::KeyDiffers,
                    &Place::top(&"tools").at(key).at(&"name"),
                    format!(
                        "the tool `{}` is called `{}` inside; prompts refer to the key",
                        excerpt(key),
                        excerpt(&tool.name)
                    ),
                );
            }
        }
        for (key, prompt) in &pack.prompts {
            if *key != prompt.id && !prompt.id.is_empty() {
                self.report(
                    Code::KeyDiffers,
                    &Place::top(&"prompts").at(key).at(&"id"),
                    format!(
                        "the prompt `{}` has the id `{}` inside; it is referred to by the key",
                        excerpt(key),
                        excerpt(&prompt.id)
                    ),
                );
            }
            for (index, name) in prompt.tools.iter().enumerate() {
                self.tool(name, &Place::top(&"prompts").at(key).at(&"tools").at(&index));
            }
            let blocklist = prompt.tool_policy.iter().flat_map(|policy| &policy.blocklist);
            for (index, name) in blocklist.enumerate() {
                self.tool(
                    name,
                    &Place::top(&"prompts").at(key).at(&"tool_policy").at(&"blocklist").at(&index),
                );
            }
            if let Some(provider) = &prompt.provider {
                self.provider(provider, &Place::top(&"prompts").at(key).at(&"provider"));
            }
        }
    }

    /// A tool may be one of the pack's, or an agent of the pack.
    pub(super) fn tool(&mut self, name: &str, place: &Place<'_>) {
        let pack = self.pack;
        let is_agent = |name: &str| {
            pack.agents.as_ref().is_some_and(|agents| agents.members.contains_key(name))
        };
        if pack.tools.contains_key(name)
            || is_agent(name)
            || name.strip_prefix(AGENT_TOOL_PREFIX).is_some_and(is_agent)
        {
            return;
        }
        let agents = pack.agents.iter().flat_map(|agents| agents.members.keys());
        let known = pack.tools.keys().chain(agents).map(String::as_str);
        self.report(Code::UnknownTool, place, format!("the pack has no tool `{}`", excerpt(name)))
            .expected("a key of `tools` or of `agents.members`")
            .suggest(name, known);
    }

    pub(super) fn prompt(&mut self, key: &str, place: &Place<'_>) {
        let pack = self.pack;
        if !key.is_empty() && !pack.prompts.is_empty() && !pack.prompts.contains_key(key) {
            self.report(
                Code::UnknownPrompt,
                place,
                format!("the pack has no prompt `{}`", excerpt(key)),
            )
            .expected("a key of `prompts`")
            .suggest(key, pack.prompts.keys().map(String::as_str));
        }
    }

    pub(super) fn provider(&mut self, key: &str, place: &Place<'_>) {
        if !self.known.providers.contains(key) {
            let known = self.known.providers.clone();
            self.report(
                Code::UnknownProvider,
                place,
                format!("the pack requires no provider `{}`", excerpt(key)),
            )
            .expected("a key of `requires.providers`")
            .suggest(key, known);
        }
    }

    pub(super) fn requires(&mut self) {
        let Some(requires) = &self.pack.requires else { return };
        let mut seen = HashSet::new();
        for (index, provider) in requires.providers.iter().enumerate() {
            if !provider.key.is_empty() && !seen.insert(&provider.key) {
                self.report(
                    Code::DuplicateName,
                    &Place::top(&"requires").at(&"providers").at(&index),
                    format!("the provider `{}` is required twice", excerpt(&provider.key)),
                )
                .expected("each key once");
            }
        }
    }

    pub(super) fn agents(&mut self) {
        let pack = self.pack;
        let Some(agents) = &pack.agents else { return };
        if !agents.entry.is_empty() && !agents.members.contains_key(&agents.entry) {
            self.report(
                Code::UnknownAgent,
                &Place::top(&"agents").at(&"entry"),
                format!("the entry `{}` is not a member", excerpt(&agents.entry)),
            )
            .expected("a key of `agents.members`")
            .suggest(&agents.entry, agents.members.keys().map(String::as_str));
        }
        for (key, agent) in &agents.members {
            self.prompt(key, &Place::top(&"agents").at(&"members").at(key));
            if let Some(state) = &agent.state {
                let place = Place::top(&"agents");
                let place = place.at(&"members");
                let place = place.at(key);
                let place = place.at(&"state");
                if pack.workflow.is_some() {
                    self.state(state, &place);
                } else {
                    self.report(
                        Code::MissingPart,
                        &place,
                        "an agent starts in a state, but the pack has no workflow",
                    )
                    .expected("a `workflow`");
                }
            }
        }
    }
}
