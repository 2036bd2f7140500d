//! What the gRPC door serves: its agent, and the shape of what `Invoke` answers.

use std::fs;

use bartizan_engine::{agent::Catalogue, ports::model::OutputFormat};

use crate::{
    config::{Configuration, settings::InvokeOutput},
    refusal::Refusal,
};

/// The schema's name towards the provider.
const SCHEMA_NAME: &str = "output";

/// The shape of what `Invoke` answers.
///
/// # Errors
/// Where a schema is wanted and there is none, or one is given and nothing wants it, or its file
/// is missing or holds no JSON object.
pub fn read(configuration: &Configuration) -> Result<OutputFormat, Refusal> {
    const KEY: &str = "grpc.invoke.schema";
    let invoke = &configuration.settings.grpc.invoke;
    match (invoke.output, &invoke.schema) {
        (InvokeOutput::Text, None) => Ok(OutputFormat::Text),
        (InvokeOutput::Json, None) => Ok(OutputFormat::Json),
        (InvokeOutput::JsonSchema, None) => Err(configuration
            .layers
            .refusal("grpc.invoke.output", &format!("`json_schema` needs a schema: set {KEY}"))),
        (InvokeOutput::Text | InvokeOutput::Json, Some(_)) => Err(configuration
            .layers
            .refusal(KEY, "is read only where grpc.invoke.output is `json_schema`")),
        (InvokeOutput::JsonSchema, Some(place)) => {
            let name = place.0.display();
            let text = fs::read_to_string(&place.0).map_err(|error| {
                Refusal::input(format!("{name}: cannot read the schema of Invoke: {error}"))
            })?;
            let schema: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)
                .map_err(|error| {
                    Refusal::input(format!(
                        "{name}: the schema of Invoke is no JSON object: {error}"
                    ))
                })?;
            Ok(OutputFormat::JsonSchema {
                name: SCHEMA_NAME.to_owned(),
                schema: schema.into(),
                strict: true,
            })
        }
    }
}

/// The agent behind the gRPC door; empty for the entry of the first pack.
///
/// # Errors
/// Where there is no such agent.
pub fn agent(configuration: &Configuration, catalogue: &Catalogue) -> Result<String, Refusal> {
    let Some(agent) = &configuration.settings.grpc.agent else { return Ok(String::new()) };
    match catalogue.find(agent) {
        Ok(found) => Ok(found.name.to_string()),
        Err(failure) => Err(configuration.layers.refusal("grpc.agent", &failure.message)),
    }
}
