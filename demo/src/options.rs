//! The demo's command line. xtask fills in where things are; the user's options come behind and win.

use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: purefold-demo events
       purefold-demo run --host FILE --manifest FILE --component FILE --events FILE --folder DIR [--keep] [--all]

  events   print the demo's stream of events
  run      run the workflow over the stream and show what came of it
    --folder DIR   where its stores go; made, and emptied before
    --keep         go on with the folder as it is, say after an interruption
    --all          print whole tables";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Events,
    Run(Options),
}

/// Where things are, and how much to show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The program `purefold`.
    pub(crate) host: PathBuf,
    /// The workflow's manifest, of which the folder gets a copy.
    pub(crate) manifest: PathBuf,
    /// The reducer's component, of which the folder gets a copy.
    pub(crate) component: PathBuf,
    /// The stream.
    pub(crate) events: PathBuf,
    /// Where the stores go.
    pub(crate) folder: PathBuf,
    /// Go on with the folder as it is.
    pub(crate) keep: bool,
    /// Print whole tables.
    pub(crate) all: bool,
}

/// Reads the arguments after the program's name. Of an option given twice, the last counts.
///
/// # Errors
/// What is not understood or missing, in words for the user.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    match arguments.next().as_deref() {
        Some("events") => return arguments.next().map_or(Ok(Command::Events), |surplus| Err(format!("unexpected argument `{surplus}`"))),
        Some("run") => {}
        Some(other) => return Err(format!("unknown command `{other}`")),
        None => return Err("no command given".to_owned()),
    }
    let mut options = Options::default();
    while let Some(name) = arguments.next() {
        let path = match name.as_str() {
            "--keep" => {
                options.keep = true;
                continue;
            }
            "--all" => {
                options.all = true;
                continue;
            }
            "--host" => &mut options.host,
            "--manifest" => &mut options.manifest,
            "--component" => &mut options.component,
            "--events" => &mut options.events,
            "--folder" => &mut options.folder,
            other => return Err(format!("unknown option `{other}`")),
        };
        *path = arguments.next().filter(|value| !value.is_empty()).ok_or_else(|| format!("`{name}` needs a path"))?.into();
    }
    for (name, path) in [
        ("--host", &options.host),
        ("--manifest", &options.manifest),
        ("--component", &options.component),
        ("--events", &options.events),
        ("--folder", &options.folder),
    ] {
        if path.as_os_str().is_empty() {
            return Err(format!("`{name}` is missing"));
        }
    }
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::{Command, Options, parse};

    const PATHS: &str = "run --host h --manifest m --component c --events e --folder f";

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_comes_last_counts() {
        let options = |folder: &str, keep| Options {
            host: "h".into(),
            manifest: "m".into(),
            component: "c".into(),
            events: "e".into(),
            folder: folder.into(),
            keep,
            all: false,
        };
        assert_eq!(parsed(PATHS), Ok(Command::Run(options("f", false))));
        assert_eq!(parsed(&format!("{PATHS} --keep --folder g")), Ok(Command::Run(options("g", true))));
        assert_eq!(parsed("events"), Ok(Command::Events));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(parsed("run --host h"), Err("`--manifest` is missing".to_owned()));
        assert_eq!(parsed(&format!("{PATHS} --folder")), Err("`--folder` needs a path".to_owned()));
        assert_eq!(parsed(&format!("{PATHS} --kep")), Err("unknown option `--kep`".to_owned()));
        assert_eq!(parsed("events now"), Err("unexpected argument `now`".to_owned()));
        assert_eq!(parsed(""), Err("no command given".to_owned()));
    }
}
