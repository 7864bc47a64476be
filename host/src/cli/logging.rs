//! Logging: structured lines on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::debug_fn;

use super::table::visible;

/// What is logged, as `info`, `debug` or `purefold=debug,purefold_effects=trace`.
const FILTER_VARIABLE: &str = "PUREFOLD_LOG";

/// What is logged where nothing is said. The pool of connections tells of each that ends; that a server is away is told once,
/// by whoever needs it.
const STANDARD: &str = "warn,deadpool=error";

/// `json` makes every line one JSON object.
const FORMAT_VARIABLE: &str = "PUREFOLD_LOG_FORMAT";

/// Sets logging up for this process. A filter that cannot be read is told, and warnings are logged.
pub(super) fn set_up() {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Err(_) => EnvFilter::new(STANDARD),
        Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|error| {
            eprintln!("note: {FILTER_VARIABLE}={text:?} is no filter ({error}); logging warnings");
            EnvFilter::new(STANDARD)
        }),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let json = std::env::var(FORMAT_VARIABLE).is_ok_and(|format| format == "json");
    // Set once, at the start: nothing else sets a subscriber.
    let _done = if json { builder.json().flatten_event(true).try_init() } else { builder.fmt_fields(fields()).try_init() };
}

/// The fields of a line. What comes from events and answers can neither steer the terminal nor begin a line of its own.
fn fields() -> impl for<'w> FormatFields<'w> {
    debug_fn(|writer, field, value| {
        let text = visible(&format!("{value:?}"));
        if field.name() == "message" { write!(writer, "{text}") } else { write!(writer, "{field}={text}") }
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_an_event_says_cannot_steer_the_terminal() {
        let (written, reason) = (Written::default(), "\x1b[2J\u{9b}1m\nERROR forged \u{202e}");
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).fmt_fields(fields()).finish();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(%reason, by = reason, "parked: {reason}"));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(text.strip_suffix('\n').unwrap().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(text.contains("parked: ") && text.contains("reason=") && text.contains("by=\""), "{text:?}");
    }
}
