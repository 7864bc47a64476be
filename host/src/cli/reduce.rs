//! `purefold reduce`: decisions without a host around them.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use purefold::gate;
use purefold::sandbox::{Context, Decision, DecisionCodec, Limits, Reducer, Sandbox, SandboxError};
use purefold_wit::{Codec, Contract, Finding, UnknownFields, Value};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::exit::Exit;
use super::report;

/// The longest line that is read.
const LINE_BYTES_MOST: u64 = 64 << 20;

#[derive(clap::Args)]
#[command(after_help = "In:  {\"context\":…,\"state\":…,\"input\":…}, other fields are ignored\n\
                        Out: {\"accepted\":{\"state\":…,\"intents\":[…]}} | {\"rejected\":…} | {\"faulted\":{\"code\":…,\"reason\":…}} | {\"undecodable\":\"path: reason\"}")]
pub(super) struct Arguments {
    /// The reducer
    component: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let component = std::fs::read(&arguments.component).with_context(|| format!("cannot read {}", arguments.component.display()))?;
    let session = match Session::open(&component)? {
        Ok(session) => session,
        Err(findings) => {
            report::refuse(&arguments.component.display().to_string(), &findings)?;
            return Ok(Exit::Wrong);
        }
    };
    session.serve(&mut io::stdin().lock(), &mut io::BufWriter::new(io::stdout().lock()))?;
    Ok(Exit::Well)
}

/// A loaded reducer with its codecs.
struct Session {
    reducer: Reducer,
    context: Codec,
    codec: DecisionCodec,
}

/// What a line holds; everything as it stands, to be read by the contract's types.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    context: &'a RawValue,
    #[serde(borrow, default)]
    state: Option<&'a RawValue>,
    #[serde(borrow)]
    input: &'a RawValue,
}

impl Session {
    fn open(component: &[u8]) -> anyhow::Result<Result<Session, Vec<Finding>>> {
        let mut findings = gate::inspect(component);
        if gate::is_unreadable(&findings) {
            return Ok(Err(findings));
        }
        let contract = match Contract::read(component) {
            Ok(contract) => Arc::new(contract),
            Err(found) => {
                findings.extend(found);
                return Ok(Err(findings));
            }
        };
        if !findings.is_empty() {
            return Ok(Err(findings));
        }
        let limits = Limits::default();
        match Sandbox::new()?.load(component, Arc::clone(&contract), limits) {
            Ok(reducer) => {
                Ok(Ok(Session { reducer, context: Codec::new(&contract.context), codec: DecisionCodec::new(&contract, &limits) }))
            }
            Err(SandboxError::Load(reason)) => Ok(Err(vec![super::check::unloadable("component", &reason)])),
            Err(error) => Err(error.into()),
        }
    }

    /// One line out for each line in.
    fn serve(&self, input: &mut impl BufRead, output: &mut impl Write) -> anyhow::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input.by_ref().take(LINE_BYTES_MOST).read_until(b'\n', &mut line).context("cannot read standard input")?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && read as u64 == LINE_BYTES_MOST {
                skip_line(input).context("cannot read standard input")?;
                undecodable(output, &format!("line: longer than {LINE_BYTES_MOST} bytes"))?;
            } else {
                self.answer(&line, output)?;
            }
            output.write_all(b"\n")?;
            // Whoever sends one line and waits for its answer gets it.
            output.flush()?;
        }
        Ok(())
    }

    fn answer(&self, line: &[u8], output: &mut impl Write) -> anyhow::Result<()> {
        match self.request(line) {
            Ok((context, state, input)) => {
                let decision = self.reducer.reduce(&context, state.as_ref(), &input)?;
                self.tell(decision, output)?;
            }
            Err(reason) => undecodable(output, &reason)?,
        }
        Ok(())
    }

    fn request(&self, line: &[u8]) -> Result<(Context, Option<Value>, Value), String> {
        let request: Request<'_> = serde_json::from_slice(line).map_err(|error| format!("line: {error}"))?;
        let context = self
            .context
            .decode("context", request.context.get().as_bytes(), UnknownFields::Ignore)
            .map_err(|error| error.to_string())
            .and_then(|value| Context::of(&value).ok_or_else(|| "context: it is not the standard context".to_owned()))?;
        let state =
            request.state.map(|state| self.codec.decode_state(state.get().as_bytes())).transpose().map_err(|error| error.to_string())?;
        let input =
            self.codec.input().decode("input", request.input.get().as_bytes(), UnknownFields::Ignore).map_err(|error| error.to_string())?;
        Ok((context, state, input))
    }

    fn tell(&self, decision: Decision, output: &mut impl Write) -> io::Result<()> {
        let (decision, encoded) = self.codec.encode(decision);
        match decision {
            Decision::Accepted { .. } => {
                output.write_all(b"{\"accepted\":{\"state\":")?;
                output.write_all(encoded.state.as_deref().unwrap_or(b"null"))?;
                output.write_all(b",\"intents\":")?;
                output.write_all(&encoded.output)?;
                output.write_all(b"}}")
            }
            Decision::Rejected(_) => wrapped(output, "rejected", &encoded.output),
            Decision::Faulted(_) => wrapped(output, "faulted", &encoded.output),
        }
    }
}

fn wrapped(output: &mut impl Write, name: &str, json: &[u8]) -> io::Result<()> {
    write!(output, "{{\"{name}\":")?;
    output.write_all(json)?;
    output.write_all(b"}")
}

fn undecodable(output: &mut impl Write, reason: &str) -> io::Result<()> {
    serde_json::to_writer(&mut *output, &serde_json::json!({ "undecodable": reason }))?;
    Ok(())
}

fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let (taken, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(newline) => (newline + 1, true),
            None => (buffer.len(), false),
        };
        input.consume(taken);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
