//! The tool file, and the tools that it binds.

use std::{fs, net::SocketAddr, sync::Arc};

use bartizan_engine::{
    agent::{ClientTool, Consent, Toolbox},
    ports::tool::Tool,
};
use bartizan_net::Client;
use bartizan_tools::{HttpLimits, ToolFile, http_tool};

use crate::{config::Configuration, example, refusal::Refusal};

/// The tools that will be bound.
pub enum ToolPlan {
    /// None.
    None,
    /// Those of a file.
    File(ToolFile),
    /// Those of the example, which ask the server itself.
    Example,
}

impl ToolPlan {
    /// Reads the tool file, where one is configured.
    ///
    /// # Errors
    /// Where the file is missing or makes no sense.
    pub fn read(
        configuration: &Configuration,
        is_example: bool,
        warnings: &mut Vec<String>,
    ) -> Result<Self, Refusal> {
        let Some(place) = &configuration.settings.tools.file else {
            return Ok(if is_example { Self::Example } else { Self::None });
        };
        let name = place.0.display();
        let text = fs::read_to_string(&place.0).map_err(|error| {
            Refusal::input(format!("{name}: cannot read the tool file: {error}"))
        })?;
        let file =
            ToolFile::parse(&text).map_err(|error| Refusal::input(format!("{name}: {error}")))?;
        for handler in &file.unsupported {
            let tool = handler.tool.as_deref().unwrap_or("its tools");
            warnings.push(format!(
                "{name}: {} ({}): {tool} will not work: {}",
                handler.handler, handler.kind, handler.reason
            ));
        }
        Ok(Self::File(file))
    }

    /// The tool file. `http` is where the server listens; without it the example has no tools.
    ///
    /// # Errors
    /// None in a build whose example is sound.
    pub fn file(self, http: Option<SocketAddr>) -> Result<ToolFile, Refusal> {
        match (self, http) {
            (Self::File(file), _) => Ok(file),
            (Self::Example, Some(http)) => ToolFile::parse(&example::tools(http))
                .map_err(|error| Refusal::input(format!("{}: {error}", example::NAME))),
            (Self::Example, None) | (Self::None, _) => Ok(ToolFile::default()),
        }
    }
}

/// The tools of a file, by name.
///
/// # Errors
/// Where a tool's endpoint may not be called.
pub fn toolbox(file: ToolFile, client: Option<&Client>) -> Result<Toolbox, Refusal> {
    let mut toolbox = Toolbox::default();
    for handler in file.http {
        let Some(client) = client else { break };
        let (handler_name, tool_name) = (handler.name.clone(), handler.spec.name.clone());
        let tool: Arc<dyn Tool> = http_tool(handler, client.clone(), HttpLimits::default())
            .map_err(|error| Refusal::configuration(format!("tool {handler_name}: {error}")))?;
        toolbox.server.insert(tool_name, tool);
    }
    for handler in file.client {
        let consent = Consent { message: handler.consent_message, categories: handler.categories };
        let tool = ClientTool { spec: handler.spec, consent };
        toolbox.client.insert(tool.spec.name.clone(), tool);
    }
    Ok(toolbox)
}
