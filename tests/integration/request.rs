//! An HTTP/1.1 request, read off the wire by what plays a server in a test.

use std::io::{BufRead, Result};

/// A request, whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and target.
    pub(crate) what: String,
    headers: Vec<String>,
    /// The body's bytes.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; none at its end.
    pub(crate) fn read(reader: &mut impl BufRead) -> Result<Option<Request>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let what = lines.first().map(|line| line.trim_end_matches(" HTTP/1.1").to_owned()).unwrap_or_default();
        let mut request = Request { what, headers: lines.split_off(1.min(lines.len())), body: Vec::new() };
        request.body = vec![0; request.header("content-length").parse().unwrap_or(0)];
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    /// The value of a header; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> String {
        let pairs = self.headers.iter().filter_map(|line| line.split_once(": "));
        pairs.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
    }
}
