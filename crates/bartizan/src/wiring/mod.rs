//! Settings into objects: packs, tools, model, store, engine.
//!
//! In two steps. [`Plan::read`] reads every file and refuses what makes no sense, while nothing
//! listens. [`Plan::build`] then makes the objects; it needs to know where HTTP listens, because
//! the built-in example's tool asks there.
//!
//! # Layout
//!
//! - [`packs`]: pack files. `tools`: the tool file. `model`: provider, failover or mock.
//! - `store`: where sessions are kept. `invoke`: what the gRPC door serves.

mod invoke;
mod model;
pub mod packs;
mod store;
mod tools;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bartizan_engine::{
    agent::{Agent, Catalogue},
    engine::{Engine, Parts},
    limits,
    ports::{
        clock::SystemClock,
        model::{ModelInfo, OutputFormat},
        observer::Observer,
    },
};
use bartizan_net::{Client, ClientError, ClientOptions, EgressPolicy};
use bartizan_server::{grpc::GrpcSettings, http::limits::HttpLimits};
use url::Url;

use self::{model::ModelPlan, packs::PackFile, tools::ToolPlan};
use crate::{
    config::{
        Configuration,
        settings::{Settings, Unlisted, WhenBusy},
    },
    refusal::Refusal,
};

/// Everything that was read and is known to make sense.
pub struct Plan {
    packs: Vec<PackFile>,
    tools: ToolPlan,
    model: ModelPlan,
    /// What `Invoke` answers.
    invoke: OutputFormat,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Reads the packs, the tool file, the mock's script and the provider's settings.
    ///
    /// # Errors
    /// At the first thing that makes no sense.
    pub fn read(configuration: &Configuration) -> Result<Self, Refusal> {
        let settings = &configuration.settings;
        let mut warnings = Vec::new();
        let packs = packs::read(configuration, &mut warnings)?;
        let is_example = settings.packs.is_empty();
        let tools = ToolPlan::read(configuration, is_example, &mut warnings)?;
        let model = ModelPlan::read(configuration, is_example)?;
        if let (false, Some(script)) = (model.is_mock(), &settings.mock.file) {
            warnings.push(format!(
                "{}: the mock's script is not used, because a provider is configured \
                 (provider.type)",
                script.0.display()
            ));
        }
        let invoke = invoke::read(configuration)?;
        Ok(Self { packs, tools, model, invoke, warnings })
    }

    /// The names of the packs, for the labels of the metrics.
    pub fn pack_names(&self) -> String {
        let names: Vec<&str> = self.packs.iter().map(|pack| pack.loaded.pack.id.as_str()).collect();
        names.join(",")
    }

    /// Whether a tool asks the public HTTP door of this very process.
    pub fn asks_itself(&self) -> bool {
        matches!(self.tools, ToolPlan::Example)
    }

    /// Makes the engine. `http` is where the public HTTP door listens.
    ///
    /// # Errors
    /// Where a part cannot be made: a tool's endpoint is refused, the data directory is in use.
    pub fn build(
        self,
        configuration: &Configuration,
        http: Option<SocketAddr>,
        observer: Arc<dyn Observer>,
    ) -> Result<Built, Refusal> {
        let settings = &configuration.settings;
        let mut warnings = self.warnings;
        let tools = self.tools.file(http)?;
        let mut policy = EgressPolicy { allow: settings.egress.allow.clone() };
        for endpoint in tools.endpoints().chain(self.model.endpoints()) {
            policy = policy.allowing(endpoint);
        }
        // Setting up TLS costs more than all the rest of the start; who calls nobody needs none.
        // What was set for calls is looked at even so, because nobody should find out later.
        let egress = &settings.egress;
        let calls_out = !tools.http.is_empty()
            || !self.model.is_mock()
            || egress.proxy.is_some()
            || egress.ca_file.is_some();
        let client = if calls_out { Some(client(policy, configuration)?) } else { None };
        let model = self.model.build(client.as_ref())?;
        let mut toolbox = tools::toolbox(tools, client.as_ref())?;
        toolbox.offer_unlisted = settings.tools.unlisted == Unlisted::Offer;
        let catalogue =
            catalogue(self.packs, configuration, &model.info(), &toolbox, &mut warnings)?;
        let grpc = GrpcSettings {
            agent: invoke::agent(configuration, &catalogue)?,
            output: self.invoke,
            grace: settings.shutdown.grace.0,
        };
        let clock = Arc::new(SystemClock);
        let store = store::open(settings, clock.clone())?;
        let parts = Parts {
            catalogue,
            model,
            store,
            clock,
            observer,
            limits: limits(settings),
            variables: settings.variables.clone().into_iter().collect(),
        };
        Ok(Built { engine: Engine::new(parts), grpc, warnings })
    }
}

/// What was made.
pub struct Built {
    /// The engine.
    pub engine: Arc<Engine>,
    /// What the gRPC door serves.
    pub grpc: GrpcSettings,
    /// What the operator should know.
    pub warnings: Vec<String>,
}

fn client(policy: EgressPolicy, configuration: &Configuration) -> Result<Client, Refusal> {
    let settings = &configuration.settings;
    let proxy = settings.egress.proxy.as_deref().map(Url::parse).transpose().map_err(|error| {
        configuration.layers.refusal("egress.proxy", &format!("is no URL: {error}"))
    })?;
    let options = ClientOptions {
        connect_timeout: settings.provider.timeouts.connect.0,
        proxy,
        extra_roots: settings.egress.ca_file.as_ref().map(|place| place.0.clone()),
        ..ClientOptions::default()
    };
    Client::new(policy, &options).map_err(|error| match error {
        ClientError::Roots { .. } => Refusal::input(error),
        _ => Refusal::configuration(error),
    })
}

fn catalogue(
    packs: Vec<PackFile>,
    configuration: &Configuration,
    model: &ModelInfo,
    toolbox: &bartizan_engine::agent::Toolbox,
    warnings: &mut Vec<String>,
) -> Result<Catalogue, Refusal> {
    let mut catalogue = Catalogue::default();
    for mut pack in packs {
        let entry = packs::chosen_entry(&pack.loaded.pack, configuration, warnings);
        packs::leave_out_unusable(&mut pack, entry.as_deref(), &model.model, warnings);
        catalogue
            .add(&pack.loaded, entry.as_deref(), &model.model, toolbox)
            .map_err(|error| Refusal::input(format!("{}: {error}", pack.name)))?;
    }
    for name in toolbox.server.keys().chain(toolbox.client.keys()) {
        let offered = |agent: &Arc<Agent>| {
            agent.checked(name).is_some()
                || agent.unusable_tools.iter().any(|(unusable, _)| unusable == name)
        };
        if !catalogue.agents().any(offered) {
            warnings.push(format!(
                "the tool {name} is bound, and no prompt is offered it: list it in the pack, or \
                 set tools.unlisted=offer"
            ));
        }
    }
    for agent in catalogue.agents() {
        for (tool, reason) in &agent.unusable_tools {
            warnings.push(format!(
                "{}: the tool {tool} will not work: its parameters are no JSON Schema: {reason}; \
                 the model is not offered it",
                agent.name
            ));
        }
        // The other prompts are asked for by name, by who knows what they want.
        if !catalogue.entries().any(|(_, entry)| entry == &*agent.name) {
            continue;
        }
        let wanted: Vec<&str> = agent
            .prompt
            .variables
            .iter()
            .filter(|variable| variable.required && variable.default.is_none())
            .map(|variable| variable.name.as_str())
            .filter(|name| !configuration.settings.variables.contains_key(*name))
            .collect();
        if !wanted.is_empty() {
            warnings.push(format!(
                "{}: every turn must bring values for {} (in `variables` of the request; or set \
                 them for all turns with the key `variables`)",
                agent.name,
                wanted.join(", ")
            ));
        }
    }
    for agent in catalogue.agents().filter(|agent| !agent.unbound_tools.is_empty()) {
        warnings.push(format!(
            "{}: nothing runs {}; the model is not offered what nothing runs (bind it in the tool \
             file, tools.file)",
            agent.name,
            agent.unbound_tools.join(", ")
        ));
    }
    Ok(catalogue)
}

/// What one HTTP request may ask for.
pub fn http_limits(settings: &Settings) -> HttpLimits {
    let own = &settings.limits.http;
    HttpLimits {
        body_bytes: own.body_bytes,
        body_time: own.body_time.0,
        head_time: own.head_time.0,
        headers: own.headers,
        head_bytes: own.head_bytes,
        json_depth: own.json_depth,
        messages: own.messages,
        parts: own.parts,
        tools: own.tools,
        page: own.page,
        connections: own.connections,
        streams: own.streams,
    }
}

fn limits(settings: &Settings) -> limits::Limits {
    let own = &settings.limits;
    let time_to_live = settings.sessions.ttl.0;
    limits::Limits {
        turn_time: own.turn_time.0,
        max_rounds: own.max_rounds,
        max_tool_calls: own.max_tool_calls,
        max_output_tokens: own.max_output_tokens,
        max_output_bytes: own.max_output_bytes,
        client_tool_time: own.client_tool_time.0,
        tool_time: own.tool_time.0,
        max_tool_result_bytes: own.max_tool_result_bytes,
        max_running: own.max_running,
        context_tokens: own.context_tokens,
        max_history: own.max_history,
        when_busy: match settings.sessions.when_busy {
            WhenBusy::Wait => limits::WhenBusy::Wait,
            WhenBusy::Refuse => limits::WhenBusy::Refuse,
        },
        session_time_to_live: (time_to_live > Duration::ZERO).then_some(time_to_live),
    }
}
