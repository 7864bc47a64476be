//! The allow-list: where requests may go.

use reqwest::Url;

use crate::settings::Settings;

/// Hosts that an effect may name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hosts(Vec<Host>);

#[derive(Debug, PartialEq, Eq)]
struct Host {
    /// As URLs normalise it: lower case, international names in ASCII, addresses in their one form.
    name: String,
    /// The port; `None` for the default of the URL's scheme.
    port: Option<u16>,
}

impl Hosts {
    /// Reads a list of hosts, each with or without a port.
    pub(super) fn read(settings: &mut Settings<'_>, name: &str) -> Option<Hosts> {
        let texts = settings.strings(name)?;
        if texts.is_empty() {
            settings.report("setting-range", name, "names no host", "name the hosts that requests may go to: hosts = [\"pay.example\"]");
            return None;
        }
        let mut hosts = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match Host::parse(text) {
                Some(host) => hosts.push(host),
                None => {
                    let cause = format!("`{}` is not a host", text.escape_debug());
                    settings.report(
                        "setting-range",
                        &format!("{name}[{index}]"),
                        cause,
                        "write a host with or without a port: pay.example, 127.0.0.1:8080, [::1]:8080",
                    );
                }
            }
        }
        Some(Hosts(hosts))
    }

    /// Whether requests to `url` may go out.
    pub(super) fn allow(&self, url: &Url) -> bool {
        let port = url.port();
        url.host_str().is_some_and(|name| self.0.iter().any(|host| host.name == name && host.port == port))
            || url.host_str().is_some_and(|name| {
                // A port that is the scheme's default may be written in the list all the same.
                port.is_none() && self.0.iter().any(|host| host.name == name && host.port == url.port_or_known_default())
            })
    }
}

impl Host {
    fn parse(text: &str) -> Option<Host> {
        // Anything that a URL would read as more than host and port.
        if text.contains(['/', '\\', '?', '#', '@', '%', '*']) || text.contains(char::is_whitespace) || text.contains(char::is_control) {
            return None;
        }
        // A scheme without a default port keeps every port that is written.
        let port = match text.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
            _ => None,
        };
        let url = Url::parse(&format!("http://{text}/")).ok()?;
        Some(Host { name: url.host_str()?.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn hosts(texts: &[&str]) -> Hosts {
        Hosts(texts.iter().map(|text| Host::parse(text).unwrap()).collect())
    }

    #[test]
    fn exactly_what_is_listed_is_allowed() {
        let hosts = hosts(&["pay.example", "127.0.0.1:8080", "[::1]:9", "Bücher.example", "tls.example:443"]);
        for (url, allowed) in [
            ("http://pay.example/", true),
            ("https://PAY.example:443/x", true),
            ("https://pay.example/x?y", true),
            ("http://pay.example:8080/", false),
            ("http://pay.example.evil/", false),
            ("http://sub.pay.example/", false),
            ("http://pay.example./", false),
            ("http://127.0.0.1:8080/", true),
            ("http://127.1:8080/", true),
            ("http://127.0.0.1/", false),
            ("http://[::1]:9/", true),
            ("http://[::1]/", false),
            ("http://xn--bcher-kva.example/", true),
            ("https://tls.example/", true),
            ("http://tls.example/", false),
            ("http://tls.example:443/", true),
        ] {
            assert_eq!(hosts.allow(&Url::parse(url).unwrap()), allowed, "{url}");
        }
    }

    #[test]
    fn what_is_more_than_a_host_is_none() {
        for text in ["a/b", "http://a", "u@a", "a:0", "a:99999", "a:", "*.a", "a%2eb", "a b", "a\\b", "a?b", "a#b", ":80", "[::1"] {
            assert!(Host::parse(text).is_none(), "{text}");
        }
    }
}
