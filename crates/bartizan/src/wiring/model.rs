//! The model: a provider with those who answer in its place, or the mock.

use std::{collections::BTreeMap, fs, sync::Arc};

use bartizan_engine::ports::model::Model;
use bartizan_model::{
    ApiKey, CircuitPolicy, MockScript, Price, Prices, ProviderSettings, RetryPolicy, Timeouts,
    failover, mock, provider,
};
use bartizan_net::Client;
use url::Url;

use crate::{
    config::{
        Configuration,
        settings::{Provider, ProviderType},
        values::Secret,
    },
    example,
    refusal::Refusal,
};

/// The model that will be asked.
pub enum ModelPlan {
    /// The mock, with its script.
    Mock(MockScript),
    /// Providers, in the order in which they are asked.
    Providers(Vec<Planned>, Arc<Prices>),
}

/// A provider, and where it answers.
pub struct Planned {
    settings: ProviderSettings,
    endpoint: Url,
}

impl ModelPlan {
    /// Reads the mock's script or puts the providers' settings together.
    ///
    /// # Errors
    /// Where the script is missing or makes no sense, and where a provider could not be asked.
    pub fn read(configuration: &Configuration, is_example: bool) -> Result<Self, Refusal> {
        let settings = &configuration.settings;
        if configuration.provider() == ProviderType::Mock {
            return Ok(Self::Mock(script(configuration, is_example)?));
        }
        let prices = settings.prices.iter().map(|(model, price)| {
            let price = Price {
                input: price.input,
                cached_input: price.cached_input,
                output: price.output,
            };
            (model.clone(), price)
        });
        let prices = Prices::new(prices)
            .map_err(|error| configuration.layers.refusal("prices", &error.to_string()))?;
        let shared = &settings.provider;
        let first = Access {
            kind: configuration.provider(),
            model: shared.model.as_deref(),
            base_url: shared.base_url.as_deref(),
            key: shared.api_key.as_ref(),
            headers: &shared.headers,
        };
        let mut planned = vec![first.plan(shared, configuration, "provider")?];
        for (index, fallback) in shared.failover.iter().enumerate() {
            let usual = configuration.usual_keys.get(&fallback.r#type);
            let access = Access {
                kind: fallback.r#type,
                model: fallback.model.as_deref(),
                base_url: fallback.base_url.as_deref(),
                key: fallback.api_key.as_ref().or(usual),
                headers: &fallback.headers,
            };
            let path = format!("provider.failover[{index}]");
            planned.push(access.plan(shared, configuration, &path)?);
        }
        Ok(Self::Providers(planned, Arc::new(prices)))
    }

    /// Whether it is the mock.
    pub fn is_mock(&self) -> bool {
        matches!(self, Self::Mock(_))
    }

    /// Where the providers answer.
    pub fn endpoints(&self) -> impl Iterator<Item = &Url> {
        let planned = match self {
            Self::Mock(_) => &[][..],
            Self::Providers(planned, _) => planned,
        };
        planned.iter().map(|planned| &planned.endpoint)
    }

    /// Makes the model. Providers need a client; the mock needs none.
    ///
    /// # Errors
    /// Where a provider cannot be set up.
    pub fn build(self, client: Option<&Client>) -> Result<Arc<dyn Model>, Refusal> {
        let (planned, prices) = match self {
            Self::Mock(script) => return Ok(mock(script)),
            Self::Providers(planned, prices) => (planned, prices),
        };
        let client = client.ok_or_else(|| Refusal::configuration("a provider needs a client"))?;
        let models = planned
            .into_iter()
            .map(|planned| {
                let client =
                    client.for_library(&planned.endpoint).map_err(Refusal::configuration)?;
                provider(planned.settings, client, Arc::clone(&prices))
                    .map_err(Refusal::configuration)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(failover(models))
    }
}

/// How one provider is reached.
struct Access<'a> {
    kind: ProviderType,
    model: Option<&'a str>,
    base_url: Option<&'a str>,
    key: Option<&'a Secret>,
    headers: &'a BTreeMap<String, Secret>,
}

impl Access<'_> {
    /// With the patience that all providers share.
    fn plan(
        &self,
        shared: &Provider,
        configuration: &Configuration,
        path: &str,
    ) -> Result<Planned, Refusal> {
        let refuse = |key: &str, reason: &str| {
            configuration.layers.refusal(&format!("{path}.{key}"), reason)
        };
        let Some(kind) = self.kind.kind() else {
            return Err(refuse("type", "the mock is no provider"));
        };
        let model = self.model.or(self.kind.default_model()).ok_or_else(|| {
            refuse("model", &format!("{kind} has no default model; set {path}.model"))
        })?;
        let base_url = self.base_url.or(kind.public_base_url()).ok_or_else(|| {
            refuse("base_url", &format!("{kind} has no address of its own; set {path}.base_url"))
        })?;
        // The address is not repeated: it may hold a password.
        let endpoint = Url::parse(base_url)
            .map_err(|error| refuse("base_url", &format!("is no URL: {error}")))?;
        let headers =
            self.headers.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        let settings = ProviderSettings {
            kind,
            model: model.to_owned(),
            base_url: self.base_url.map(str::to_owned),
            api_key: self.key.map(|key| ApiKey::new(key.reveal())),
            headers: headers.collect(),
            timeouts: Timeouts {
                connect: shared.timeouts.connect.0,
                first_token: shared.timeouts.first_token.0,
                idle: shared.timeouts.idle.0,
                answer: shared.timeouts.answer.0,
            },
            retry: RetryPolicy {
                attempts: shared.retry.attempts,
                initial_backoff: shared.retry.initial_backoff.0,
                max_backoff: shared.retry.max_backoff.0,
                ..RetryPolicy::default()
            },
            circuit: CircuitPolicy {
                failures: shared.circuit.failures,
                open_for: shared.circuit.open_for.0,
            },
        };
        Ok(Planned { settings, endpoint })
    }
}

fn script(configuration: &Configuration, is_example: bool) -> Result<MockScript, Refusal> {
    let (name, text) = match &configuration.settings.mock.file {
        Some(place) => {
            let name = place.0.display().to_string();
            let text = fs::read_to_string(&place.0).map_err(|error| {
                Refusal::input(format!("{name}: cannot read the mock's script: {error}"))
            })?;
            (name, text)
        }
        None if is_example => (example::NAME.to_owned(), example::MOCK.to_owned()),
        None => return Ok(MockScript::default()),
    };
    MockScript::parse(&text).map_err(|error| Refusal::input(format!("{name}: {error}")))
}
