//! How Consul itself asks whether a service lives.

use std::time::Duration;

use purefold_wit::Finding;
use serde_json::{Value as Json, json};

use crate::settings::Settings;

/// Bounds of `interval` and `timeout`.
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// Consul takes a service out no sooner.
const DEREGISTER_MIN: Duration = Duration::from_secs(60);
const DEREGISTER_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A check by HTTP, at the address and port that the service is registered with.
pub(super) struct Health {
    scheme: &'static str,
    path: String,
    interval: Duration,
    timeout: Duration,
    deregister_after: Option<Duration>,
}

impl Health {
    /// Reads the table `health`, where there is one.
    pub(super) fn read(settings: &mut Settings<'_>) -> Option<Health> {
        let table = settings.nested("health")?;
        let (health, findings) = Health::read_table(table);
        settings.absorb(findings);
        health
    }

    fn read_table(mut table: Settings<'_>) -> (Option<Health>, Vec<Finding>) {
        let path = table.required("path", Settings::string).map(str::to_owned);
        if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            table.report("setting-range", "path", "does not begin with `/`", "write the path that answers 2xx: \"/health\"");
        }
        let scheme = if table.has("scheme") { table.choice("scheme", &[("http", "http"), ("https", "https")]) } else { Some("http") };
        let interval = table.duration("interval", EVERY_MIN..=EVERY_MAX).unwrap_or(INTERVAL_DEFAULT);
        let timeout = table.duration("timeout", EVERY_MIN..=EVERY_MAX).unwrap_or(TIMEOUT_DEFAULT);
        let deregister_after = table.duration("deregister-after", DEREGISTER_MIN..=DEREGISTER_MAX);
        let health = path.zip(scheme).map(|(path, scheme)| Health { scheme, path, interval, timeout, deregister_after });
        (health, table.finish())
    }

    /// The check of a service at `address` and `port`.
    pub(super) fn check(&self, address: &str, port: u16) -> Json {
        let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let mut check = json!({
            "HTTP": format!("{}://{host}:{port}{}", self.scheme, self.path),
            "Interval": seconds(self.interval),
            "Timeout": seconds(self.timeout),
        });
        if let Some(after) = self.deregister_after {
            check["DeregisterCriticalServiceAfter"] = seconds(after).into();
        }
        check
    }
}

/// A duration as Consul reads it, which knows no days.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(text: &str, address: &str) -> Json {
        let table = text.parse().unwrap();
        let (health, findings) = Health::read_table(Settings::new(&table, "effects.services.health"));
        assert_eq!(findings, []);
        health.unwrap().check(address, 80)
    }

    #[test]
    fn consul_is_told_all_that_the_settings_say() {
        assert_eq!(check("path = '/up'", "10.0.0.1"), json!({"HTTP": "http://10.0.0.1:80/up", "Interval": "10000ms", "Timeout": "5000ms"}));
        assert_eq!(
            check("path = '/up'\nscheme = 'https'\ninterval = '3s'\ntimeout = '2s'\nderegister-after = '1h'", "fd00::1"),
            json!({"HTTP": "https://[fd00::1]:80/up", "Interval": "3000ms", "Timeout": "2000ms",
                   "DeregisterCriticalServiceAfter": "3600000ms"})
        );
    }
}
