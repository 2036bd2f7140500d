//! The log, on standard error.

use std::io;

use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::settings::{Log, LogFormat, LogLevel};
use crate::output::Style;

/// From now on what is logged is written.
pub fn begin(settings: &Log) {
    let level = match settings.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // Libraries speak of connections and frames, and some of what they carry: never below a
    // warning, whatever we are asked to say of ourselves.
    let filter = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("bartizan", level)
        .with_target("promptpack", level);
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(Style::of_stderr().is_on());
    let layer = match settings.format {
        LogFormat::Text => layer.with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // Fails only where a log has begun already, which in one process is the same log.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

/// Whether a program reads the log.
pub fn is_json(settings: &Log) -> bool {
    settings.format == LogFormat::Json
}
