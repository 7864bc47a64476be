//! `purefold source`: how far partitions were read, and setting that where somebody has to.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use purefold::source::{Ends, KafkaSettings, Partition};
use purefold::store::{Question, SourceRow};
use serde::Serialize;
use serde_json::json;

use super::ask::{self, is_refused};
use super::exit::Exit;
use super::open::{self, Stored};
use super::report;
use super::table::{Side, Style, Table, visible};
use super::warrant::Reasoned;

/// How long the brokers are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The workflow's manifest
    workflow: PathBuf,
    #[command(subcommand)]
    action: Action,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Each partition: how far it was read, where it begins and ends
    List,
    /// Set how far a partition was read: what lies before is never read, what comes after is, once more where it was
    Reset {
        /// The topic
        #[arg(long)]
        topic: String,
        /// The partition's number
        #[arg(long)]
        partition: i32,
        /// Its first record, what comes from now on, or the offset of the next record to be read
        #[arg(long, value_name = "beginning|end|OFFSET", value_parser = target)]
        to: Target,
        #[command(flatten)]
        reasoned: Reasoned,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Beginning,
    End,
    Offset(u64),
}

fn target(text: &str) -> Result<Target, String> {
    match text {
        "beginning" => Ok(Target::Beginning),
        "end" => Ok(Target::End),
        // What the store holds is signed.
        _ => match text.parse().ok().filter(|offset| i64::try_from(*offset).is_ok()) {
            Some(offset) => Ok(Target::Offset(offset)),
            None => Err("write `beginning`, `end` or an offset".into()),
        },
    }
}

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    /// The next offset to be read.
    position: u64,
    begin: Option<u64>,
    end: Option<u64>,
    lag: Option<u64>,
    duplicates: u64,
}

#[derive(Serialize)]
struct AnswerLine<'a> {
    topic: &'a str,
    partition: i32,
    answer: &'a str,
}

/// The positions of a workflow's partitions.
pub(super) fn partitions(sources: &[(String, SourceRow)]) -> BTreeMap<Partition, &SourceRow> {
    sources.iter().filter_map(|(name, row)| Some((Partition::of_name(name)?, row))).collect()
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let Some(stored) = open::stored(&arguments.workflow)? else { return Ok(Exit::Wrong) };
    let Some(kafka) = stored.workflow.manifest.source.kafka.clone() else {
        eprintln!("error: the manifest of {:?} names no Kafka source; other sources have no position to be set", stored.workflow.name);
        return Ok(Exit::Wrong);
    };
    match &arguments.action {
        Action::List => list(&stored, &kafka, arguments.json),
        Action::Reset { topic, partition, to, reasoned } => {
            let partition = Partition { topic: topic.as_str().into(), number: *partition };
            reset(arguments, stored, &kafka, &partition, *to, reasoned)
        }
    }
}

/// Where the partitions begin and end. Where the brokers do not tell, that is noted.
pub(super) fn ends(stored: &Stored, kafka: &KafkaSettings) -> Ends {
    Ends::ask(kafka, PATIENCE).unwrap_or_else(|reason| {
        eprintln!("note: the brokers do not tell where the partitions end: {}", stored.workflow.hide(&reason));
        Ends::default()
    })
}

fn list(stored: &Stored, kafka: &KafkaSettings, as_json: bool) -> anyhow::Result<Exit> {
    let sources = stored.reader.sources(stored.id)?;
    let ends = ends(stored, kafka);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let partitions = partitions(&sources);
    let lines = partitions.iter().map(|(partition, row)| {
        let known = ends.partitions.get(partition).copied();
        Line {
            topic: &partition.topic,
            partition: partition.number,
            position: row.next_line,
            begin: known.map(|(begin, _)| begin),
            end: known.map(|(_, end)| end),
            lag: ends.lag(partition, row.next_line),
            duplicates: row.duplicates,
        }
    });
    if as_json {
        for line in lines {
            report::json_line(&mut out, &line)?;
        }
    } else {
        let columns = [
            ("topic", Side::Left),
            ("partition", Side::Right),
            ("position", Side::Right),
            ("begin", Side::Right),
            ("end", Side::Right),
            ("lag", Side::Right),
            ("duplicates", Side::Right),
        ];
        let mut table = Table::new(&mut out, Style::of_stdout(), &columns);
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        for Line { topic, partition, position, begin, end, lag, duplicates } in lines {
            let texts = [partition.to_string(), position.to_string(), number(begin), number(end), number(lag), duplicates.to_string()];
            let [partition, position, begin, end, lag, duplicates] = &texts;
            table.row([topic, partition, position, begin, end, lag, duplicates])?;
        }
        table.finish()?;
    }
    out.flush()?;
    Ok(Exit::Well)
}

fn reset(
    arguments: &Arguments,
    stored: Stored,
    kafka: &KafkaSettings,
    partition: &Partition,
    to: Target,
    reasoned: &Reasoned,
) -> anyhow::Result<Exit> {
    let known = match Ends::ask(kafka, PATIENCE) {
        Ok(ends) => ends.partitions.get(partition).copied().ok_or_else(|| format!("the brokers have no partition {partition}")),
        Err(reason) => Err(format!("the brokers do not tell where {partition} begins and ends: {}", stored.workflow.hide(&reason))),
    };
    let offset = match (to, known) {
        (Target::Beginning, Ok((begin, _))) => begin,
        (Target::End, Ok((_, end))) => end,
        (Target::Offset(offset), Ok((begin, end))) if (begin..=end).contains(&offset) => offset,
        (Target::Offset(offset), Ok((begin, end))) => {
            eprintln!("error: {partition} has no offset {offset} to go on at: it begins at {begin} and ends at {end}");
            return Ok(Exit::Wrong);
        }
        (_, Err(reason)) => anyhow::bail!(reason),
    };
    let subjects = [json!({ "topic": &*partition.topic, "partition": partition.number, "offset": offset }).to_string()];
    let warrant = reasoned.warrant();
    let question = Question { command: "source reset", subjects: &subjects, warrant: &warrant };
    let Some(answered) = ask::ask(&arguments.workflow, stored, &question)? else { return Ok(Exit::Wrong) };
    let answer = answered.only();
    let mut out = io::stdout().lock();
    if arguments.json {
        report::json_line(&mut out, &AnswerLine { topic: &partition.topic, partition: partition.number, answer })?;
    } else {
        writeln!(out, "{}", visible(answer))?;
    }
    Ok(if is_refused(answer) { Exit::Negative } else { Exit::Well })
}
