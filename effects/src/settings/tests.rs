#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Table {
    text.parse().expect("the test's TOML")
}

fn codes(findings: &[Finding]) -> Vec<(&'static str, &str)> {
    findings.iter().map(|finding| (finding.code, finding.place.as_str())).collect()
}

#[test]
fn every_kind_is_read_and_nothing_is_found() {
    let table = read(
        "text = 'a'\nkey = 's3cret'\nflag = true\ncount = 3\nshare = 0.5\nwait = '200ms'\nlist = ['x', 'y']\nfile = 'dir/f.db'\nword = 'two'\n[free]\nany = 1\n[more]\ninner = 'b'",
    );
    let mut settings = Settings::new(&table, "effects.e");
    assert_eq!(settings.string("text"), Some("a"));
    assert_eq!(settings.secret("key"), Some(Secret::new("s3cret")));
    assert_eq!(settings.boolean("flag"), Some(true));
    assert_eq!(settings.integer("count", 1..=3), Some(3));
    assert_eq!(settings.number("share", 0.0..=1.0), Some(0.5));
    assert_eq!(settings.number("count", 0.0..=3.0), Some(3.0));
    assert_eq!(settings.duration("wait", Duration::ZERO..=Duration::from_secs(1)), Some(Duration::from_millis(200)));
    assert_eq!(settings.strings("list"), Some(vec!["x", "y"]));
    assert_eq!(settings.path("file", Path::new("base")), Some(PathBuf::from("base/dir/f.db")));
    assert_eq!(settings.choice("word", &[("one", 1), ("two", 2)]), Some(2));
    assert_eq!(settings.table("free").map(Table::len), Some(1));
    let mut more = settings.nested("more").unwrap();
    assert_eq!(more.place(), "effects.e.more");
    assert_eq!(more.string("inner"), Some("b"));
    settings.absorb(more.finish());
    assert_eq!(settings.finish(), vec![]);
}

#[test]
fn wrong_settings_are_told_apart_and_all_at_once() {
    let table = read("text = 1\nempty = ''\ncount = 9\nwait = 'soon'\nlong = '2h'\nlist = ['x', 2]\nword = 'twp'\ncuont = 1");
    let mut settings = Settings::new(&table, "intents.i");
    assert_eq!(settings.string("text"), None);
    assert_eq!(settings.string("empty"), None);
    assert_eq!(settings.integer("count", 1..=3), None);
    assert_eq!(settings.duration("wait", Duration::ZERO..=Duration::MAX), None);
    assert_eq!(settings.duration("long", Duration::ZERO..=Duration::from_secs(3600)), None);
    assert_eq!(settings.strings("list"), None);
    assert_eq!(settings.choice("word", &[("one", 1), ("two", 2)]), None);
    assert_eq!(settings.required("needed", Settings::string), None);
    let findings = settings.finish();
    assert_eq!(
        codes(&findings),
        [
            ("setting-type", "intents.i.text"),
            ("setting-range", "intents.i.empty"),
            ("setting-range", "intents.i.count"),
            ("setting-type", "intents.i.wait"),
            ("setting-range", "intents.i.long"),
            ("setting-type", "intents.i.list[1]"),
            ("setting-range", "intents.i.word"),
            ("setting-missing", "intents.i.needed"),
            ("setting-unknown", "intents.i.cuont"),
        ]
    );
    assert!(findings[4].help.contains("from 0ms to 1h"), "{}", findings[4]);
    assert!(findings[6].help.contains("`two`"), "{}", findings[6]);
}

#[test]
fn a_value_of_the_wrong_type_is_not_repeated() {
    let table = read("timeout = 'secret-token'\nhosts = 'secret-token'");
    let mut settings = Settings::new(&table, "");
    assert_eq!(settings.boolean("timeout"), None);
    assert_eq!(settings.strings("hosts"), None);
    for finding in settings.finish() {
        assert!(!finding.to_string().contains("secret-token"), "{finding}");
    }
}

#[test]
fn the_nearest_name_is_one_that_is_not_used_already() {
    let table = read("tables = 'x'\ntable = 'y'");
    let mut settings = Settings::new(&table, "");
    settings.string("table");
    let findings = settings.finish();
    assert_eq!(codes(&findings), [("setting-unknown", "tables")]);
    assert!(!findings[0].help.contains("did you mean"), "{}", findings[0]);
}

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, millis) in [("0ms", 0), ("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        assert_eq!(format_duration(Duration::from_millis(millis)), text);
    }
    for text in ["", "5", "s", " 5s", "5 s", "-5s", "1.5s", "5S", "1h30m", "5us", "٣s"] {
        assert_eq!(parse_duration(text), Err(DurationError::Malformed(text.to_owned())), "{text:?}");
    }
    for text in ["99999999999999999999s", "18446744073709551615d"] {
        assert_eq!(parse_duration(text), Err(DurationError::TooLong(text.to_owned())), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_formatted_duration_reads_back(millis in any::<u64>()) {
        let duration = Duration::from_millis(millis);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn any_text_is_read_without_panic(text in ".{0,20}") {
        let _ = parse_duration(&text);
    }
}
