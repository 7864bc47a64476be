//! By how much a candidate may differ, as it is said on the command line.

use purefold::deploy::Budget;
use purefold::replay::{Expected, Sample};

#[derive(clap::Args)]
pub(super) struct BudgetArguments {
    /// Differences here and below are wanted, as in `intents.register-service.tags`
    #[arg(long, value_name = "PATH")]
    expect: Vec<String>,
    /// This share of the decisions may differ elsewhere
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    allow: f64,
    /// Replay the history of so many entities, or of this share of them, spread evenly over their keys
    #[arg(long, value_name = "N|P%", value_parser = sample)]
    sample: Option<Sample>,
    #[command(flatten)]
    states: StatesArguments,
}

#[derive(clap::Args)]
pub(super) struct StatesArguments {
    /// This share of the states may fail to be taken over: their entities are parked when they are next decided for
    #[arg(long, value_name = "SHARE", default_value = "0%", value_parser = share)]
    allow_unmigrated: f64,
}

impl BudgetArguments {
    pub(super) fn budget(&self) -> Budget {
        let BudgetArguments { expect, allow, sample, states } = self;
        Budget { expected: Expected::new(expect), sample: sample.clone().unwrap_or(Sample::All), differing: *allow, ..states.budget() }
    }
}

impl StatesArguments {
    pub(super) fn budget(&self) -> Budget {
        Budget { unmigrated: self.allow_unmigrated, ..Budget::default() }
    }
}

/// `12` or `5%`.
pub(super) fn sample(text: &str) -> Result<Sample, String> {
    if text.ends_with('%') {
        return share(text).map(Sample::Share);
    }
    text.parse().map(Sample::Count).map_err(|_| "expected a number of entities, or a share of them as in 5%".to_owned())
}

/// `0.1%`, as a share of 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let share = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok()).filter(|percent| (0.0..=100.0).contains(percent));
    share.map(|percent| percent / 100.0).ok_or_else(|| "expected a share from 0% to 100%, as in 0.1%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_shares_are_read() {
        assert_eq!(sample("12"), Ok(Sample::Count(12)));
        assert_eq!(sample("5%"), Ok(Sample::Share(0.05)));
        assert_eq!(share("0.1%"), Ok(0.001));
        for wrong in ["", "5", "%", "-1%", "101%", "x%"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
        assert!(sample("-1").is_err());
    }
}
