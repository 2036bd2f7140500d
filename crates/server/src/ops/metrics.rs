//! `/metrics`: what happened, in numbers (OpenMetrics 1.0).
//!
//! The `omnia_…` names are those that dashboards of the Omnia platform read; the `bartizan_…`
//! names are our own. No label holds anything that a caller chose: agents, tools, providers and
//! models come from packs and configuration, and beyond [`MOST_VALUES`] of a kind they are
//! counted as `other`.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use bartizan_engine::{
    failure::FailureCode,
    ports::{model::ModelInfo, observer::Observer},
    usage::Usage,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// The most values of one label.
const MOST_VALUES: usize = 200;

/// What one process counts.
pub struct Metrics {
    registry: Registry,
    running: Gauge,
    turns: Family<TurnLabels, Counter>,
    turn_time: Family<AgentLabels, Histogram>,
    pipeline_time: Family<StatusLabels, Histogram>,
    provider: Provider,
    tool_calls: Family<ToolStatusLabels, Counter>,
    tool_time: Family<ToolLabels, Histogram>,
    seen: Seen,
}

struct Provider {
    requests: Family<RequestLabels, Counter>,
    time: Family<ModelLabels, Histogram>,
    input_tokens: Family<ModelLabels, Counter>,
    output_tokens: Family<ModelLabels, Counter>,
    cached_tokens: Family<ModelLabels, Counter>,
    cost: Family<ModelLabels, Counter<f64, AtomicU64>>,
}

/// Which deployment this is: labels on every metric.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// The agent's name in its platform; empty outside of one.
    pub agent: String,
    /// The namespace it runs in; empty outside of one.
    pub namespace: String,
    /// The packs served, joined by commas.
    pub promptpack_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TurnLabels {
    turn_agent: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabels {
    turn_agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    provider: String,
    model: String,
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    provider: String,
    model: String,
    source: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabels {
    tool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolStatusLabels {
    tool: String,
    status: &'static str,
}

/// Label values met so far.
#[derive(Default)]
struct Seen(Mutex<HashSet<String>>);

impl Seen {
    /// The value, or `other` when there are too many.
    fn bounded(&self, value: &str) -> String {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(value) {
            return value.to_owned();
        }
        if seen.len() >= MOST_VALUES {
            return "other".to_owned();
        }
        seen.insert(value.to_owned());
        value.to_owned()
    }
}

/// 5 ms to 163 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 16))
}

fn status(ok: bool) -> &'static str {
    if ok { "success" } else { "error" }
}

impl Metrics {
    /// The media type of [`Metrics::text`].
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Nothing counted yet.
    pub fn new(deployment: &Deployment) -> Self {
        let labels = [
            ("agent", &deployment.agent),
            ("namespace", &deployment.namespace),
            ("promptpack_name", &deployment.promptpack_name),
        ];
        let labels = labels.map(|(name, value)| (name.into(), value.clone().into()));
        let mut registry = Registry::with_labels(labels.into_iter());
        let info = Gauge::<i64>::default();
        info.set(1);
        registry.register("omnia_runtime_info", "The runtime is there", info);
        let metrics = Self {
            running: Gauge::default(),
            turns: Family::default(),
            turn_time: Family::new_with_constructor(seconds),
            pipeline_time: Family::new_with_constructor(seconds),
            provider: Provider::register(&mut registry),
            tool_calls: Family::default(),
            tool_time: Family::new_with_constructor(seconds),
            seen: Seen::default(),
            registry: Registry::default(),
        };
        let turns = [("bartizan_turns_running", "Turns at work", metrics.running.clone())];
        for (name, help, gauge) in turns {
            registry.register(name, help, gauge);
        }
        registry.register(
            "bartizan_turns",
            "Turns that ended; the outcome is ok or the failure's code",
            metrics.turns.clone(),
        );
        registry.register(
            "bartizan_turn_duration_seconds",
            "From the turn's beginning to its end, waiting for its session included",
            metrics.turn_time.clone(),
        );
        registry.register(
            "omnia_pipeline_duration_seconds",
            "The same, by success or error",
            metrics.pipeline_time.clone(),
        );
        registry.register(
            "omnia_tool_calls",
            "Calls of tools that run here",
            metrics.tool_calls.clone(),
        );
        registry.register(
            "omnia_tool_call_duration_seconds",
            "How long tools took",
            metrics.tool_time.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Everything, as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }

    fn model_labels(&self, info: &ModelInfo) -> ModelLabels {
        ModelLabels {
            provider: self.seen.bounded(&info.provider),
            model: self.seen.bounded(&info.model),
            source: "agent",
        }
    }
}

impl Provider {
    fn register(registry: &mut Registry) -> Self {
        let provider = Self {
            requests: Family::default(),
            time: Family::new_with_constructor(seconds),
            input_tokens: Family::default(),
            output_tokens: Family::default(),
            cached_tokens: Family::default(),
            cost: Family::default(),
        };
        registry.register("omnia_provider_requests", "Calls of models", provider.requests.clone());
        registry.register(
            "omnia_provider_request_duration_seconds",
            "How long models took, to the end of their answer",
            provider.time.clone(),
        );
        let tokens = [
            ("omnia_provider_input_tokens", "Tokens read by models", &provider.input_tokens),
            ("omnia_provider_output_tokens", "Tokens written by models", &provider.output_tokens),
            (
                "omnia_provider_cached_tokens",
                "Tokens read from providers' caches",
                &provider.cached_tokens,
            ),
        ];
        for (name, help, family) in tokens {
            registry.register(name, help, family.clone());
        }
        registry.register(
            "omnia_provider_cost",
            "US dollars by the configured prices",
            provider.cost.clone(),
        );
        provider
    }
}

impl Observer for Metrics {
    fn turn_started(&self) {
        self.running.inc();
    }

    fn turn_finished(&self, agent: &str, failure: Option<FailureCode>, took: Duration) {
        self.running.dec();
        let turn_agent = self.seen.bounded(agent);
        let outcome = failure.map_or("ok", FailureCode::as_str);
        let took = took.as_secs_f64();
        self.turn_time.get_or_create(&AgentLabels { turn_agent: turn_agent.clone() }).observe(took);
        self.turns.get_or_create(&TurnLabels { turn_agent, outcome }).inc();
        self.pipeline_time
            .get_or_create(&StatusLabels { status: status(failure.is_none()) })
            .observe(took);
    }

    fn model_asked(&self, info: &ModelInfo, usage: &Usage, ok: bool, took: Duration) {
        let labels = self.model_labels(info);
        let provider = &self.provider;
        provider.time.get_or_create(&labels).observe(took.as_secs_f64());
        provider.input_tokens.get_or_create(&labels).inc_by(usage.input_tokens);
        provider.output_tokens.get_or_create(&labels).inc_by(usage.output_tokens);
        provider.cached_tokens.get_or_create(&labels).inc_by(usage.cached_tokens);
        if let Some(cost) = usage.cost_usd.filter(|cost| *cost >= 0.0) {
            provider.cost.get_or_create(&labels).inc_by(cost);
        }
        let ModelLabels { provider: name, model, source } = labels;
        let labels = RequestLabels { provider: name, model, source, status: status(ok) };
        provider.requests.get_or_create(&labels).inc();
    }

    fn tool_called(&self, tool: &str, ok: bool, took: Duration) {
        let tool = self.seen.bounded(tool);
        self.tool_time
            .get_or_create(&ToolLabels { tool: tool.clone() })
            .observe(took.as_secs_f64());
        self.tool_calls.get_or_create(&ToolStatusLabels { tool, status: status(ok) }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_names_that_dashboards_read() {
        let metrics = Metrics::new(&Deployment {
            agent: "a".into(),
            namespace: "n".into(),
            promptpack_name: "p".into(),
        });
        let info = ModelInfo { provider: "openai".into(), model: "m".into(), mock: false };
        let usage = Usage { input_tokens: 3, cost_usd: Some(0.5), ..Usage::default() };
        metrics.turn_started();
        metrics.model_asked(&info, &usage, true, Duration::from_millis(20));
        metrics.tool_called("add", false, Duration::from_millis(2));
        metrics.turn_finished("p/q", Some(FailureCode::TimedOut), Duration::from_secs(1));
        let text = metrics.text();
        let constant = r#"agent="a",namespace="n",promptpack_name="p""#;
        for line in [
            format!("omnia_runtime_info{{{constant}}} 1"),
            format!("bartizan_turns_running{{{constant}}} 0"),
            format!(r#"bartizan_turns_total{{{constant},turn_agent="p/q",outcome="timed_out"}} 1"#),
            format!(
                r#"omnia_provider_input_tokens_total{{{constant},provider="openai",model="m",source="agent"}} 3"#
            ),
            format!(
                r#"omnia_provider_cost_total{{{constant},provider="openai",model="m",source="agent"}} 0.5"#
            ),
            format!(r#"omnia_tool_calls_total{{{constant},tool="add",status="error"}} 1"#),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn labels_are_bounded() {
        let seen = Seen::default();
        for number in 0..MOST_VALUES {
            assert_eq!(seen.bounded(&number.to_string()), number.to_string());
        }
        assert_eq!(seen.bounded("one too many"), "other");
        assert_eq!(seen.bounded("7"), "7");
    }
}
