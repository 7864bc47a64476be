//! How a node lives.

use anyhow::{Result, bail};

use crate::random::Random;

/// How a node lives. All but the first do something that they should not, or that a registry has to bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Does what it should.
    Steady,
    /// Sends every event twice.
    Duplicates,
    /// Sends some heartbeats in the wrong order.
    Reorders,
    /// Sends events that nobody can read, between those that are well.
    Garbles,
    /// Acknowledges when its time is over.
    AcksLate,
    /// Never acknowledges.
    NeverAcks,
    /// Acknowledges twice.
    AcksTwice,
    /// Announces itself again while it is active, without having been asked.
    AnnouncesAgain,
    /// Dies after some heartbeats, for good.
    Dies,
    /// Dies after some heartbeats, and comes back.
    Recovers,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Behaviour; 10] = [
        Behaviour::Steady,
        Behaviour::Duplicates,
        Behaviour::Reorders,
        Behaviour::Garbles,
        Behaviour::AcksLate,
        Behaviour::NeverAcks,
        Behaviour::AcksTwice,
        Behaviour::AnnouncesAgain,
        Behaviour::Dies,
        Behaviour::Recovers,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Behaviour::Steady => "steady",
            Behaviour::Duplicates => "duplicates",
            Behaviour::Reorders => "reorders",
            Behaviour::Garbles => "garbles",
            Behaviour::AcksLate => "acks-late",
            Behaviour::NeverAcks => "never-acks",
            Behaviour::AcksTwice => "acks-twice",
            Behaviour::AnnouncesAgain => "announces-again",
            Behaviour::Dies => "dies",
            Behaviour::Recovers => "recovers",
        }
    }

    /// Behaviours for `count` nodes, as a command line says: `steady`, `dies=3`, or `mixed`, any for each node. Nodes that are
    /// left are steady.
    ///
    /// # Errors
    /// A name that is none, or more nodes than there are.
    pub fn assign(told: &[String], count: usize, random: &mut Random) -> Result<Vec<Behaviour>> {
        let mut all = Vec::with_capacity(count);
        let mut others = Behaviour::Steady;
        for told in told {
            let (name, number) = match told.split_once('=') {
                Some((name, number)) => (name, Some(number.parse::<usize>()?)),
                None => (told.as_str(), None),
            };
            if name == "mixed" && number.is_none() {
                return Ok((0..count).map(|_| Behaviour::ALL[random.index(Behaviour::ALL.len())]).collect());
            }
            let Some(behaviour) = Behaviour::ALL.into_iter().find(|behaviour| behaviour.name() == name) else {
                let known = Behaviour::ALL.map(Behaviour::name).join(", ");
                bail!("there is no behaviour `{name}`; there are mixed, {known}");
            };
            match number {
                Some(number) => all.extend(std::iter::repeat_n(behaviour, number)),
                None => others = behaviour,
            }
            if all.len() > count {
                bail!("the behaviours are of more nodes than {count}");
            }
        }
        all.resize(count, others);
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn assigned(told: &[&str], count: usize) -> Result<Vec<Behaviour>> {
        Behaviour::assign(&told.iter().map(|told| (*told).to_owned()).collect::<Vec<_>>(), count, &mut Random::new(1))
    }

    #[test]
    fn behaviours_are_for_all_or_for_some() {
        use Behaviour::{Dies, Reorders, Steady};
        assert_eq!(assigned(&[], 2).unwrap(), [Steady, Steady]);
        assert_eq!(assigned(&["reorders"], 2).unwrap(), [Reorders, Reorders]);
        assert_eq!(assigned(&["dies=1", "reorders=1"], 3).unwrap(), [Dies, Reorders, Steady]);
        assert_eq!(assigned(&["mixed"], 50).unwrap().len(), 50);
        assert!(assigned(&["mixed"], 50).unwrap().iter().any(|behaviour| *behaviour != Steady));
    }

    #[test]
    fn what_is_no_behaviour_is_told() {
        assert!(assigned(&["sleeps"], 1).unwrap_err().to_string().contains("never-acks"));
        assert!(assigned(&["dies=2"], 1).is_err());
        assert!(assigned(&["dies=x"], 1).is_err());
    }
}
