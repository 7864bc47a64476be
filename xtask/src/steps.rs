//! Steps of a longer chore: a line when each begins, and at the end where the time went.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

/// The steps done so far and their times.
pub(crate) struct Steps {
    total: usize,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// So many steps, none of them done.
    pub(crate) fn new(total: usize) -> Self {
        Steps { total, done: Vec::new() }
    }

    /// Does one step.
    ///
    /// # Errors
    /// The step's own, with its name and how to run it alone.
    pub(crate) fn step<T>(&mut self, name: &'static str, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n[{}/{}] {name}: {what}", self.done.len() + 1, self.total);
        let begun = Instant::now();
        let result = work().map_err(|error| anyhow!("{name} failed: {error:#}\nonly this step again: cargo xtask test {name}"))?;
        self.done.push((name, begun.elapsed()));
        Ok(result)
    }

    /// Says so where all of it took longer than it may.
    pub(crate) fn overlong(&self, most: Duration) -> Option<String> {
        let all: Duration = self.done.iter().map(|(_, time)| *time).sum();
        let (name, longest) = self.done.iter().max_by_key(|(_, time)| *time)?;
        (all > most).then(|| {
            let (all, most, longest) = (minutes(all), minutes(most), minutes(*longest));
            format!("warning: this took {all}, and may take {most} on a machine that has built nothing yet; {name} took {longest}")
        })
    }

    /// Where the time went, one line a step.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (name, time) in &self.done {
            text += &format!("{name:<14}{}\n", minutes(*time));
        }
        let all = self.done.iter().map(|(_, time)| *time).sum();
        text + &format!("{:<14}{}", "together", minutes(all))
    }
}

fn minutes(time: Duration) -> String {
    format!("{:>3} min {:>4.1} s", time.as_secs() / 60, time.as_secs_f64() % 60.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so and stop")]

    use std::time::Duration;

    use anyhow::bail;

    use super::{Steps, minutes};

    #[test]
    fn a_failing_step_is_named_with_the_way_to_run_it() {
        let mut steps = Steps::new(2);
        assert_eq!(steps.step("first", "does well", || Ok(1)).unwrap(), 1);
        let error = steps.step::<()>("second", "does badly", || bail!("no luck")).unwrap_err();
        assert_eq!(error.to_string(), "second failed: no luck\nonly this step again: cargo xtask test second");
        assert_eq!(steps.summary().lines().count(), 2, "one step was done, and the sum: {}", steps.summary());
    }

    #[test]
    fn what_takes_too_long_is_told() {
        let steps = Steps { total: 2, done: vec![("short", Duration::from_secs(1)), ("long", Duration::from_secs(59))] };
        assert_eq!(steps.overlong(Duration::from_secs(60)), None);
        assert!(steps.overlong(Duration::from_secs(50)).is_some_and(|told| told.contains("1 min  0.0 s") && told.contains("long took")));
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(minutes(Duration::from_millis(61_240)), "  1 min  1.2 s");
    }
}
