//! From the settings of an `[effects.NAME]` table to an effect: which capability, on which backend.

use std::path::Path;
use std::sync::Arc;

use purefold_wit::{Finding, finding};

use crate::settings::Settings;
use crate::{Effect, http, key_value, publish, service_registry, table};

type Open = fn(&str, Settings<'_>, &Path) -> Result<Arc<dyn Effect>, Vec<Finding>>;

const CAPABILITIES: [(&str, Open); 5] = [
    ("table", table::open),
    ("service-registry", service_registry::open),
    ("key-value", key_value::open),
    ("publish", publish::open),
    ("http", http::open),
];

/// Opens the effect `name` from its settings. Paths among them are relative to `base`.
///
/// Nothing outside the process is touched: files are opened by [`Effect::start`].
///
/// # Errors
/// Everything that is wrong with the settings.
pub fn open(name: &str, settings: &toml::Table, base: &Path) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    let mut reader = Settings::new(settings, format!("effects.{name}"));
    let Some(capability) = reader.required("capability", Settings::string) else {
        // The other settings mean something only once the capability is known.
        return Err(reader.finish().into_iter().filter(|finding| finding.code != "setting-unknown").collect());
    };
    match CAPABILITIES.iter().find(|(known, _)| *known == capability) {
        Some((_, open)) => open(name, reader, base),
        None => {
            let known = CAPABILITIES.iter().map(|(known, _)| *known);
            let help = match finding::nearest(capability, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", known.collect::<Vec<_>>().join(", ")),
            };
            let cause = format!("there is no capability `{capability}`");
            Err(vec![Finding::new("capability-unknown", reader.place_of("capability"), cause, help)])
        }
    }
}

/// The one backend that the settings name: a backend's name is that of the setting that chooses it.
pub(crate) fn choose(settings: &mut Settings<'_>, capability: &str, backends: &[&'static str]) -> Option<&'static str> {
    let named: Vec<&'static str> = backends.iter().copied().filter(|backend| settings.has(backend)).collect();
    match named.as_slice() {
        [] => {
            let cause = format!("names no backend for `{capability}`");
            settings.report("backend-unknown", "capability", cause, format!("add a setting {}", backends.join(" or ")));
            None
        }
        [backend] => Some(backend),
        [first, second, ..] => {
            settings.report(
                "backend-twice",
                second,
                format!("both `{first}` and `{second}` are set"),
                "keep one: an effect has one backend",
            );
            None
        }
    }
}

/// The effect, unless something was found.
pub(crate) fn opened<T>(
    settings: Settings<'_>,
    read: Option<T>,
    make: impl FnOnce(T) -> Arc<dyn Effect>,
) -> Result<Arc<dyn Effect>, Vec<Finding>> {
    let findings = settings.finish();
    match read {
        Some(read) if findings.is_empty() => Ok(make(read)),
        _ => Err(findings),
    }
}
