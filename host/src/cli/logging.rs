//! Logging: structured lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged, as `info`, `debug` or `purefold=debug,purefold_effects=trace`.
const FILTER_VARIABLE: &str = "PUREFOLD_LOG";

/// `json` makes every line one JSON object.
const FORMAT_VARIABLE: &str = "PUREFOLD_LOG_FORMAT";

/// Sets logging up for this process. A filter that cannot be read is told, and warnings are logged.
pub(super) fn set_up() {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Err(_) => EnvFilter::new("warn"),
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            eprintln!("note: {FILTER_VARIABLE}={text:?} is no filter ({error}); logging warnings");
            EnvFilter::new("warn")
        }),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let json = std::env::var(FORMAT_VARIABLE).is_ok_and(|format| format == "json");
    // Set once, at the start: nothing else sets a subscriber.
    let _done = if json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
}
