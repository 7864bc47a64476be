//! `[intents.CASE]`: the settings that every route has. The rest is the effect's to read.

use std::time::Duration;

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

use super::{DEFAULT_RETRY, IntentSettings};
use crate::workflow::{OnExhausted, Retry};

/// The settings that every route has.
const COMMON: [&str; 5] = ["effect", "outcome", "after", "on-exhausted", "retry"];

const ATTEMPTS_MOST: i64 = 1000;
const DELAY_LEAST: Duration = Duration::from_millis(1);
const DELAY_MOST: Duration = Duration::from_secs(24 * 60 * 60);
const DEADLINE_MOST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) fn read(mut settings: Settings<'_>, top: &mut Settings<'_>) -> Vec<IntentSettings> {
    let mut routes = Vec::new();
    for case in settings.names() {
        if let Some(route) = settings.nested(case) {
            let (route, findings) = read_one(case, route);
            routes.push(route);
            settings.absorb(findings);
        }
    }
    top.absorb(settings.finish());
    routes
}

fn read_one(case: &str, mut settings: Settings<'_>) -> (IntentSettings, Vec<Finding>) {
    let effect = settings.required("effect", Settings::string).unwrap_or_default().to_owned();
    let outcome = settings.string("outcome").map(str::to_owned);
    let after = settings.strings("after").unwrap_or_default().into_iter().map(str::to_owned).collect();
    let on_exhausted = settings.choice("on-exhausted", &[("outcome", OnExhausted::Outcome), ("hold", OnExhausted::Hold)]);
    if on_exhausted == Some(OnExhausted::Outcome) && !settings.has("outcome") {
        settings.report(
            "on-exhausted-unrouted",
            "on-exhausted",
            "no input case is routed to take the outcome",
            "name one as `outcome`, or set `on-exhausted = \"hold\"`",
        );
    }
    let retry = settings.nested("retry").map_or(DEFAULT_RETRY, |retry| {
        let (retry, findings) = read_retry(retry);
        settings.absorb(findings);
        retry
    });
    let spelled = COMMON.into_iter().filter(|name| settings.has(name)).collect();
    let mut own = toml::Table::new();
    for name in settings.names().filter(|name| !COMMON.contains(name)) {
        if let Some(value) = settings.raw(name) {
            own.insert(name.to_owned(), value.clone());
        }
    }
    let route = IntentSettings { case: case.to_owned(), effect, outcome, after, on_exhausted, retry, spelled, settings: own };
    (route, settings.finish())
}

fn read_retry(mut settings: Settings<'_>) -> (Retry, Vec<Finding>) {
    let mut retry = DEFAULT_RETRY;
    if let Some(attempts) = settings.integer("attempts", 1..=ATTEMPTS_MOST).and_then(|attempts| u32::try_from(attempts).ok()) {
        retry.attempts = attempts;
    }
    if let Some(first) = settings.duration("first", DELAY_LEAST..=DELAY_MOST) {
        retry.first = first;
        // Where only the first delay is given and is a long one, the others are no shorter.
        retry.most = retry.most.max(first);
    }
    if let Some(most) = settings.duration("most", DELAY_LEAST..=DELAY_MOST) {
        retry.most = most;
        if most < retry.first {
            settings.report("setting-range", "most", "the longest delay is shorter than the first", "set `most` to at least `first`");
        }
    }
    if let Some(deadline) = settings.duration("deadline", DELAY_LEAST..=DEADLINE_MOST) {
        retry.deadline = deadline;
        // Where only the deadline is given and is a short one, an attempt may take all of it.
        retry.timeout = retry.timeout.min(deadline);
    }
    if let Some(timeout) = settings.duration("timeout", DELAY_LEAST..=DEADLINE_MOST) {
        retry.timeout = timeout;
        if timeout > retry.deadline {
            settings.report(
                "setting-range",
                "timeout",
                "one attempt may take longer than all of them together",
                "set `timeout` to at most `deadline`",
            );
        }
    }
    (retry, settings.finish())
}
