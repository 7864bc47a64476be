//! The command line, parsed by hand: a parser library would take longer to build than all of this crate.

use crate::{bench, chaos, crashes, hostile, simulate, test};

/// What `cargo xtask` prints when it is asked for help or does not understand.
pub(crate) const USAGE: &str = "\
usage: cargo xtask <command>

  build                  the host (target/release/purefold) and the reducers (target/reducers/<name>.wasm)
  reducers [--fixtures]  the reducers only; with --fixtures also the deliberately bad ones (target/fixtures)
  languages              the reducers in C and JavaScript (target/reducers/orders-<language>.wasm); fetches their tools
  test [STEP]...         every check and test, or only the steps named:
                         toolchain format clippy layering deny reducers source-gate languages
                         tests
  demo [OPTION]...       build, then run the reference workflow over demo/events.jsonl and show what came of it
         --folder DIR    where its stores go (default: target/demo)
         --keep          go on with the folder as it is, say after an interruption; otherwise it starts empty
         --all           print whole tables
         --real          on private Kafka, Consul and PostgreSQL instead, with simulated nodes
         --seconds N     with --real: how long they live (default: 12)
         --seed N        with --real: another seed, other nodes (default: 1)
  demo-events            make demo/events.jsonl anew
  golden                 make tests/golden/<version> anew: journals of this version, which later ones must verify
  services               keep a private Kafka, Consul and PostgreSQL up until interrupted; prints the variables by
                         which tests find them
  nodes [OPTION]...      simulated nodes of the reference workflow, over Kafka; --help tells the options
  simulate [OPTION]...   run the simulation's seeds, as many as one likes
         --seeds N       how many (default: 10000)
         --first SEED    the first of them (default: 1)
         --hosts         the runs of several hosts on one store; else those of one host
  hostile [OPTION]...    mutated inputs by the million for whatever reads foreign bytes
         --inputs N      how many of each kind (default: 3000000)
         --seed SEED     another seed is another set of inputs (default: 1)
  crashes [OPTION]...    kill the real program at random moments and compare with an undisturbed run
         --kills N       how often in the middle of its work (default: 500); other kills do not count
         --seed SEED     another seed is another set of moments (default: 1)
  swaps [OPTION]...      releases that come into force under load, with kills between: of one host on SQLite, then of
                         several on PostgreSQL
         --count N       how many of each (default: 1000)
         --seed SEED     another seed is another set of moments (default: 1)
  chaos [OPTION]...      hosts killed, ended and stood still, broker, database and catalogue taken away, under load; then
                         everything that is left is held against a model
         --seed SEED     the same trouble again (default: another one each time, which is printed)
         --minutes N     how long (default: 10)
         --hosts N       how many hosts share the work (default: 3)
         --rate N        events a second (default: 60)
  bench [PART]...        build, then measure everything, or only the parts named:
                         pipeline decision million watching verify http timers postgres kafka latency swap
         --trial         a dev build and little load, to see that those with services work: no figures to tell";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help,
    Build,
    Reducers {
        fixtures: bool,
    },
    Languages,
    /// All steps where none is named.
    Test {
        steps: Vec<test::Step>,
    },
    /// The demo's own options, as they were given.
    Demo {
        arguments: Vec<String>,
    },
    /// The same on real services.
    DemoReal {
        arguments: Vec<String>,
    },
    DemoEvents,
    Golden,
    Services,
    /// The program's own options, as they were given.
    Nodes {
        arguments: Vec<String>,
    },
    Simulate(simulate::Seeds),
    Crashes(crashes::Kills),
    Swaps(crashes::Swaps),
    Chaos(chaos::Trouble),
    Hostile(hostile::Inputs),
    /// All parts where none is named.
    Bench {
        parts: Vec<bench::Part>,
        scale: bench::Scale,
    },
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// What is not understood, in words for the user.
pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.peekable();
    let Some(command) = arguments.next() else { return Err("no command given".to_owned()) };
    let rest: Vec<String> = arguments.collect();
    match command.as_str() {
        "help" | "--help" | "-h" => Ok(Command::Help),
        "build" => none(&rest, Command::Build),
        "reducers" => match rest.as_slice() {
            [] => Ok(Command::Reducers { fixtures: false }),
            [flag] if flag == "--fixtures" => Ok(Command::Reducers { fixtures: true }),
            _ => Err(format!("`reducers` takes --fixtures or nothing, not `{}`", rest.join(" "))),
        },
        "languages" => none(&rest, Command::Languages),
        "test" => rest.iter().map(|name| test::Step::named(name)).collect::<Result<_, _>>().map(|steps| Command::Test { steps }),
        "demo" => {
            let (real, arguments): (Vec<_>, Vec<_>) = rest.into_iter().partition(|word| word == "--real");
            Ok(if real.is_empty() { Command::Demo { arguments } } else { Command::DemoReal { arguments } })
        }
        "demo-events" => none(&rest, Command::DemoEvents),
        "golden" => none(&rest, Command::Golden),
        "services" => none(&rest, Command::Services),
        "nodes" => Ok(Command::Nodes { arguments: rest }),
        "simulate" => {
            let (hosts, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|word| word == "--hosts");
            let mut seeds = simulate::Seeds { shared: !hosts.is_empty(), ..simulate::Seeds::default() };
            numbers(&rest, &mut [("--seeds", &mut seeds.count), ("--first", &mut seeds.first)]).map(|()| Command::Simulate(seeds))
        }
        "hostile" => {
            let mut inputs = hostile::Inputs::default();
            numbers(&rest, &mut [("--inputs", &mut inputs.count), ("--seed", &mut inputs.seed)]).map(|()| Command::Hostile(inputs))
        }
        "crashes" => {
            let mut kills = crashes::Kills::default();
            numbers(&rest, &mut [("--kills", &mut kills.count), ("--seed", &mut kills.seed)]).map(|()| Command::Crashes(kills))
        }
        "swaps" => {
            let mut swaps = crashes::Swaps::default();
            numbers(&rest, &mut [("--count", &mut swaps.count), ("--seed", &mut swaps.seed)]).map(|()| Command::Swaps(swaps))
        }
        "chaos" => {
            let mut trouble = chaos::Trouble::default();
            let chaos::Trouble { seed, minutes, hosts, rate } = &mut trouble;
            numbers(&rest, &mut [("--seed", seed), ("--minutes", minutes), ("--hosts", hosts), ("--rate", rate)])?;
            if [trouble.minutes, trouble.hosts, trouble.rate].contains(&0) {
                return Err("without time, hosts or events there is no trouble".to_owned());
            }
            Ok(Command::Chaos(trouble))
        }
        "bench" => {
            let (trial, names): (Vec<_>, Vec<_>) = rest.iter().partition(|word| *word == "--trial");
            let scale = if trial.is_empty() { bench::Scale::Full } else { bench::Scale::Trial };
            names.iter().map(|name| bench::Part::named(name)).collect::<Result<_, _>>().map(|parts| Command::Bench { parts, scale })
        }
        other => Err(format!("unknown command `{other}`")),
    }
}

/// Reads options that each take a number.
fn numbers(arguments: &[String], options: &mut [(&str, &mut u64)]) -> Result<(), String> {
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let Some((_, target)) = options.iter_mut().find(|(name, _)| name == option) else {
            let known: Vec<&str> = options.iter().map(|(name, _)| *name).collect();
            return Err(format!("unexpected argument `{option}`; there are {}", known.join(", ")));
        };
        let text = arguments.next().ok_or_else(|| format!("{option} needs a number"))?;
        **target = text.parse().map_err(|_| format!("{option} needs a number, not `{text}`"))?;
    }
    Ok(())
}

fn none(rest: &[String], command: Command) -> Result<Command, String> {
    match rest.first() {
        None => Ok(command),
        Some(surplus) => Err(format!("unexpected argument `{surplus}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, USAGE, parse};
    use crate::bench::{Part, Scale};
    use crate::chaos::Trouble;
    use crate::crashes::Kills;
    use crate::hostile::Inputs;
    use crate::simulate::Seeds;
    use crate::test::Step;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn commands_are_understood() {
        assert_eq!(parsed("build"), Ok(Command::Build));
        assert_eq!(parsed("reducers"), Ok(Command::Reducers { fixtures: false }));
        assert_eq!(parsed("reducers --fixtures"), Ok(Command::Reducers { fixtures: true }));
        assert_eq!(parsed("test"), Ok(Command::Test { steps: vec![] }));
        assert_eq!(parsed("test deny clippy"), Ok(Command::Test { steps: vec![Step::Deny, Step::Clippy] }));
        assert_eq!(parsed("demo --keep"), Ok(Command::Demo { arguments: vec!["--keep".to_owned()] }));
        assert_eq!(parsed("demo --real --all"), Ok(Command::DemoReal { arguments: vec!["--all".to_owned()] }));
        assert_eq!(parsed("services"), Ok(Command::Services));
        assert_eq!(parsed("nodes --count 3"), Ok(Command::Nodes { arguments: vec!["--count".to_owned(), "3".to_owned()] }));
        assert_eq!(parsed("bench"), Ok(Command::Bench { parts: vec![], scale: Scale::Full }));
        assert_eq!(parsed("bench million"), Ok(Command::Bench { parts: vec![Part::Million], scale: Scale::Full }));
        assert_eq!(parsed("bench --trial http timers"), Ok(Command::Bench { parts: vec![Part::Http, Part::Timers], scale: Scale::Trial }));
        assert_eq!(parsed("simulate --first 7"), Ok(Command::Simulate(Seeds { first: 7, ..Seeds::default() })));
        assert_eq!(parsed("simulate --seeds 5 --first 9"), Ok(Command::Simulate(Seeds { first: 9, count: 5, shared: false })));
        assert_eq!(parsed("simulate --hosts --seeds 5"), Ok(Command::Simulate(Seeds { count: 5, shared: true, ..Seeds::default() })));
        assert_eq!(parsed("crashes --kills 7"), Ok(Command::Crashes(Kills { count: 7, ..Kills::default() })));
        assert_eq!(parsed("chaos --hosts 5 --minutes 2"), Ok(Command::Chaos(Trouble { hosts: 5, minutes: 2, ..Trouble::default() })));
        assert_eq!(parsed("hostile --seed 3"), Ok(Command::Hostile(Inputs { seed: 3, ..Inputs::default() })));
        assert_eq!(parsed("--help"), Ok(Command::Help));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(parsed(""), Err("no command given".to_owned()));
        assert_eq!(parsed("biuld"), Err("unknown command `biuld`".to_owned()));
        assert_eq!(parsed("build fast"), Err("unexpected argument `fast`".to_owned()));
        assert!(parsed("test clipy").is_err_and(|error| error.contains("`clipy`") && error.contains("source-gate")));
        assert!(parsed("reducers --fixture").is_err());
        assert!(parsed("simulate --seeds").is_err_and(|error| error.contains("--seeds needs a number")));
        assert!(parsed("simulate --seeds many").is_err_and(|error| error.contains("`many`")));
        assert!(parsed("chaos --hosts 0").is_err_and(|error| error.contains("no trouble")));
        assert!(parsed("simulate 5").is_err_and(|error| error.contains("`5`") && error.contains("--first")));
    }

    #[test]
    fn the_usage_names_every_step_and_part() {
        for part in Part::ALL {
            assert!(USAGE.contains(part.name()), "{} is missing in the usage", part.name());
        }
        for step in Step::ALL {
            assert!(USAGE.contains(step.name()), "{} is missing in the usage", step.name());
        }
    }
}
