//! What happens to the services: each in turn, in an order by chance.

use std::time::{Duration, Instant};

use super::chronicle::Chronicle;
use super::stage::{Services, well};
use crate::chance::Chance;

/// A service is taken away and comes back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disaster {
    BrokerRestarted,
    BrokerKilled,
    DatabaseRestarted,
    DatabaseStoppedAtOnce,
    CatalogueGone,
    CatalogueHangs,
}

impl Disaster {
    /// By what it is known.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Disaster::BrokerRestarted => "broker restarted",
            Disaster::BrokerKilled => "broker killed",
            Disaster::DatabaseRestarted => "database restarted",
            Disaster::DatabaseStoppedAtOnce => "database stopped at once",
            Disaster::CatalogueGone => "catalogue gone",
            Disaster::CatalogueHangs => "catalogue hangs",
        }
    }
}

/// Every kind.
pub(super) const ALL: [Disaster; 6] = [
    Disaster::BrokerRestarted,
    Disaster::BrokerKilled,
    Disaster::DatabaseRestarted,
    Disaster::DatabaseStoppedAtOnce,
    Disaster::CatalogueGone,
    Disaster::CatalogueHangs,
];

/// For how long, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    /// The longest time between two disasters.
    pub(super) pause: u64,
    /// How long the catalogue is gone, and hangs at most.
    pub(super) gone: u64,
}

/// How often it is looked whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Services {
    /// Disasters until it is over. Then all services run.
    pub(super) fn suffer(&mut self, chance: &mut Chance, lengths: Lengths, over: Instant, chronicle: &Chronicle) {
        let mut left = Vec::new();
        loop {
            if left.is_empty() {
                left = ALL.to_vec();
            }
            let disaster = left.swap_remove(usize::try_from(chance.below(left.len() as u64)).expect("a small number"));
            let pause = Duration::from_millis(chance.between(2_000, lengths.pause * 1_000));
            let away = Duration::from_millis(match disaster {
                Disaster::CatalogueGone => lengths.gone * 1_000,
                Disaster::CatalogueHangs => chance.between(4_000, lengths.gone * 1_000),
                _ => chance.below(3_000),
            });
            wait(pause, over);
            if Instant::now() >= over {
                return;
            }
            chronicle.trouble(disaster.name(), format!("{}, away for {:.1} s", disaster.name(), away.as_secs_f64()));
            self.happen(disaster, away, over);
            chronicle.tell(format!("{} is over", disaster.name()));
        }
    }

    fn happen(&mut self, disaster: Disaster, away: Duration, over: Instant) {
        let service = match disaster {
            Disaster::BrokerRestarted | Disaster::BrokerKilled => &mut self.kafka,
            Disaster::DatabaseRestarted | Disaster::DatabaseStoppedAtOnce => &mut self.postgres,
            Disaster::CatalogueGone | Disaster::CatalogueHangs => &mut self.consul,
        };
        match disaster {
            Disaster::CatalogueHangs => {
                well(service.pause());
                wait(away, over);
                well(service.resume());
                return;
            }
            Disaster::BrokerRestarted | Disaster::DatabaseRestarted => well(service.stop()),
            Disaster::BrokerKilled | Disaster::DatabaseStoppedAtOnce | Disaster::CatalogueGone => well(service.stop_at_once()),
        }
        wait(away, over);
        well(service.start_again());
    }
}

fn wait(time: Duration, over: Instant) {
    let until = (Instant::now() + time).min(over);
    while Instant::now() < until {
        std::thread::sleep(LOOK_EVERY);
    }
}
