//! Where a node can be reached: its endpoints' URLs, and the one that goes into the catalogue.
//!
//! A URL is taken apart as RFC 3986 draws its parts, and no further than is asked: it must have a scheme and a host, and a port
//! that is a number up to 65535 where it has one. What a host is made of is left to those who resolve it, with two exceptions:
//! brackets hold an IP address, and nothing in a host may turn into a delimiter on the way.

use core::net::Ipv6Addr;
use std::borrow::Cow;

/// Host and port of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// In lower case, without brackets.
    pub(crate) host: String,
    /// The explicit port, if it is not 0.
    pub(crate) port: Option<u16>,
}

/// The endpoints that go into the catalogue, the best first.
const SERVICE_ENDPOINTS: [&str; 2] = ["health", "api"];

/// The address of the node's service, if it has an endpoint for it.
///
/// # Errors
/// The name of the first endpoint, in the order given, whose URL is not one; whichever of them is used.
pub(crate) fn service_address(endpoints: &[(String, String)]) -> Result<Option<Address>, String> {
    let mut found = [const { None }; SERVICE_ENDPOINTS.len()];
    for (name, url) in endpoints {
        let address = address(url).ok_or_else(|| name.clone())?;
        if let Some(place) = SERVICE_ENDPOINTS.iter().position(|wanted| wanted == name) {
            found[place] = Some(address);
        }
    }
    Ok(found.into_iter().flatten().next())
}

/// Host and port of `url`; nothing where it lacks a scheme or a host, or its port is no port.
fn address(url: &str) -> Option<Address> {
    let url = without_blanks(url);
    let (scheme, rest) = url.split_once(':')?;
    if !is_scheme(scheme) {
        return None;
    }
    let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    if authority.contains(FOLDED_DELIMITERS) {
        return None;
    }
    let (userinfo, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = match host_and_port.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            if !is_ip_literal(host) {
                return None;
            }
            (host, if after.is_empty() { "" } else { after.strip_prefix(':')? })
        }
        None => host_and_port.split_once(':').unwrap_or((host_and_port, "")),
    };
    if host.is_empty() || host.contains(['[', ']']) || userinfo.contains(['[', ']']) {
        return None;
    }
    let port = match port {
        "" => 0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<u16>().ok()?,
        _ => return None,
    };
    Some(Address { host: host.to_lowercase(), port: (port != 0).then_some(port) })
}

/// `url` without the characters that count for nothing in a URL as people write it (WHATWG URL Standard, "basic URL parser"):
/// control characters and spaces at its start, tabs and line breaks anywhere.
fn without_blanks(url: &str) -> Cow<'_, str> {
    const NOWHERE: [char; 3] = ['\t', '\n', '\r'];
    let url = url.trim_start_matches(|c| c <= ' ');
    if url.contains(NOWHERE) { url.replace(NOWHERE, "").into() } else { url.into() }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// What may stand in brackets: an IPv6 address with or without a zone, or an address of a later version (RFC 3986, 3.2.2).
fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix('v') {
        return future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty() && !address.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    }
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    address.parse::<Ipv6Addr>().is_ok() && zone.is_none_or(|zone| !zone.is_empty() && !zone.contains('%'))
}

/// The characters outside ASCII whose compatibility form (Unicode NFKC, which name resolution applies) holds one of `/?#@:`: with
/// them, the host that is looked up would not be the one that was read here.
const FOLDED_DELIMITERS: [char; 19] = [
    '\u{2047}', '\u{2048}', '\u{2049}', '\u{2100}', '\u{2101}', '\u{2105}', '\u{2106}', '\u{2A74}', '\u{FE13}', '\u{FE16}', '\u{FE55}',
    '\u{FE56}', '\u{FE5F}', '\u{FE6B}', '\u{FF03}', '\u{FF0F}', '\u{FF1A}', '\u{FF1F}', '\u{FF20}',
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Every URL with what its address must be: `host port`, `host -` without a port, or `invalid`.
    fn check(cases: &[(&str, &str)]) {
        for &(url, expected) in cases {
            let found = match address(url) {
                None => "invalid".to_owned(),
                Some(Address { host, port: None }) => format!("{host} -"),
                Some(Address { host, port: Some(port) }) => format!("{host} {port}"),
            };
            assert_eq!(found, expected, "{url:?}");
        }
    }

    #[test]
    fn the_host_is_lower_case_and_alone() {
        check(&[
            ("http://10.0.0.5:8080/health", "10.0.0.5 8080"),
            ("https://api.example.com/v1", "api.example.com -"),
            ("HTTP://API.Example.COM:80", "api.example.com 80"),
            ("http://B\u{dc}CHER.example/", "b\u{fc}cher.example -"),
            ("http://my_svc:8080/", "my_svc 8080"),
            ("http://h.local.:1/", "h.local. 1"),
            ("http://ex%41mple/", "ex%41mple -"),
            ("unix://sock/path", "sock -"),
            ("grpc+tls-1.3://node:50051", "node 50051"),
            ("http://user:secret@h.local:8080/", "h.local 8080"),
            ("http://user@h.local", "h.local -"),
            ("http://a@b@c:1/", "c 1"),
            ("http://:@h/", "h -"),
            ("http://h.local/@x:9/", "h.local -"),
            ("http://h.local?a=http://b:1/", "h.local -"),
            ("http://h.local:8080#f", "h.local 8080"),
            ("http://h.local#@other", "h.local -"),
            ("http://h.local:8080?q", "h.local 8080"),
            ("http://a b/", "a b -"),
            ("http://h\\x/", "h\\x -"),
        ]);
    }

    #[test]
    fn a_url_needs_a_scheme_and_a_host() {
        check(&[
            ("", "invalid"),
            (":", "invalid"),
            ("http", "invalid"),
            ("http:", "invalid"),
            ("http:/", "invalid"),
            ("http://", "invalid"),
            ("http:///", "invalid"),
            ("http:///path", "invalid"),
            ("http://?q", "invalid"),
            ("http://#f", "invalid"),
            ("http://:8080/", "invalid"),
            ("http://user@/", "invalid"),
            ("http://user@:80/", "invalid"),
            ("http:h.local", "invalid"),
            ("http:/h.local", "invalid"),
            ("mailto:x@y", "invalid"),
            ("/health", "invalid"),
            ("//host/x", "invalid"),
            ("://host/x", "invalid"),
            ("not a url", "invalid"),
            ("h.local:8080", "invalid"),
            ("10.0.0.5:8080/health", "invalid"),
            ("1http://h/", "invalid"),
            ("+http://h/", "invalid"),
            ("ht_tp://h/", "invalid"),
            ("h\u{e9}://h/", "invalid"),
        ]);
    }

    #[test]
    fn a_port_is_a_number_up_to_65535() {
        check(&[
            ("http://h:1/", "h 1"),
            ("http://h:65535/", "h 65535"),
            ("http://h:65536/", "invalid"),
            ("http://h:99999999999999999999/", "invalid"),
            ("http://h:0/", "h -"),
            ("http://h:000/", "h -"),
            ("http://h:/", "h -"),
            ("http://h:", "h -"),
            ("http://h:0080/", "h 80"),
            ("http://h:00000000000000000065535/", "h 65535"),
            ("http://h:abc/", "invalid"),
            ("http://h:80a/", "invalid"),
            ("http://h:-1/", "invalid"),
            ("http://h:+80/", "invalid"),
            ("http://h:8 0/", "invalid"),
            ("http://h: 80/", "invalid"),
            ("http://h:80 /", "invalid"),
            ("http://h:8_0/", "invalid"),
            ("http://h:0x50/", "invalid"),
            ("http://h:80:81/", "invalid"),
            ("http://h::80/", "invalid"),
            ("http://h:\u{0668}\u{0660}/", "invalid"),
            ("http://2001:db8::1/", "invalid"),
        ]);
    }

    #[test]
    fn brackets_hold_an_ip_address() {
        check(&[
            ("http://[2001:db8::1]:8080/h", "2001:db8::1 8080"),
            ("http://[2001:DB8::ABCD]:1/", "2001:db8::abcd 1"),
            ("http://[::1]/h", "::1 -"),
            ("http://[::1]", "::1 -"),
            ("http://[::]:0", ":: -"),
            ("http://[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1 80"),
            ("http://user:secret@[::1]:80/", "::1 80"),
            ("http://[fe80::1%25eth0]:80/", "fe80::1%25eth0 80"),
            ("http://[v1.addr]:80/", "v1.addr 80"),
            ("http://[::1:8080/h", "invalid"),
            ("http://::1]:8080/h", "invalid"),
            ("http://[]:80/", "invalid"),
            ("http://[]/", "invalid"),
            ("http://[h.local]/", "invalid"),
            ("http://[10.0.0.5]:80/", "invalid"),
            ("http://[1::2::3]/", "invalid"),
            ("http://[::12345]/", "invalid"),
            ("http://[::1%]/", "invalid"),
            ("http://[v.x]/", "invalid"),
            ("http://[::1]8080/", "invalid"),
            ("http://[::1]x:8080/", "invalid"),
            ("http://x[::1]:8080/", "invalid"),
            ("http://[[::1]]/", "invalid"),
            ("http://a[b]@h/", "invalid"),
            ("http://[::1]:65536/", "invalid"),
            ("http://[::1]:x/", "invalid"),
        ]);
    }

    #[test]
    fn blanks_before_a_url_and_line_breaks_in_it_count_for_nothing() {
        check(&[
            ("  http://h:1/", "h 1"),
            ("\0\u{1f}http://h:1/", "h 1"),
            ("ht\ntp:\r//h.lo\tcal:8\n0/", "h.local 80"),
            ("\n", "invalid"),
            ("\u{a0}http://h/", "invalid"),
        ]);
    }

    #[test]
    fn no_character_of_a_host_may_turn_into_a_delimiter() {
        for c in FOLDED_DELIMITERS {
            check(&[(&format!("http://good.example{c}.evil.example/"), "invalid"), (&format!("http://h/{c}"), "h -")]);
        }
    }

    fn endpoints(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|&(name, url)| (name.to_owned(), url.to_owned())).collect()
    }

    fn chosen(list: &[(&str, &str)]) -> Result<Option<String>, String> {
        service_address(&endpoints(list)).map(|address| address.map(|address| address.host))
    }

    #[test]
    fn health_is_preferred_to_api_and_no_other_is_used() {
        assert_eq!(chosen(&[]), Ok(None));
        assert_eq!(chosen(&[("health", "http://h/"), ("api", "http://a/")]), Ok(Some("h".to_owned())));
        assert_eq!(chosen(&[("api", "http://a/"), ("health", "http://h/")]), Ok(Some("h".to_owned())));
        assert_eq!(chosen(&[("metrics", "http://m/"), ("api", "http://a/")]), Ok(Some("a".to_owned())));
        assert_eq!(chosen(&[("Health", "http://h/"), ("api ", "http://a/"), ("he\0alth", "http://x/")]), Ok(None));
    }

    #[test]
    fn the_first_bad_endpoint_is_named_even_if_it_is_not_used() {
        assert_eq!(chosen(&[("health", "http://h/"), ("zzz", "not a url"), ("api", "")]), Err("zzz".to_owned()));
        assert_eq!(chosen(&[("health", ""), ("api", "http://a/")]), Err("health".to_owned()));
        assert_eq!(chosen(&[("", "/")]), Err(String::new()));
    }
}
