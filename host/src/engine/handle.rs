//! The source as the loop has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::source::{KafkaStatus, Listener, Positions, Standing, Taken};

/// How long a source of lines must have had nothing to read before due timers trust that nothing earlier is unread.
const QUIET_LINES: Duration = Duration::from_millis(50);

/// The same where events are sent: senders that found no host, or were turned away, come back within this time.
pub(super) const QUIET_SENDERS: Duration = Duration::from_secs(5);

/// The source as the loop sees it.
pub(super) struct SourceHandle {
    pub(super) lines: Receiver<Vec<Taken>>,
    pub(super) waiting_since: Arc<AtomicU64>,
    /// How long it must have had nothing to read before due timers trust that nothing earlier is unread.
    pub(super) quiet: Duration,
    /// Where the source looks from time to time: when it last began to look and found nothing.
    pub(super) looked: Option<Arc<AtomicU64>>,
    /// Whether it says among what it hands on up to when that is all there was ([`Taken::Looked`]).
    pub(super) tells_when: bool,
    /// Where it is told, by part, how far everything is decided and durable.
    pub(super) positions: Option<Arc<Positions>>,
    /// Where it can be away: how it is doing.
    pub(super) status: Option<Arc<KafkaStatus>>,
    pub(super) stop: Arc<AtomicBool>,
    /// Where it is asked instead of read.
    pub(super) listener: Option<Listener>,
}

impl SourceHandle {
    /// A source of lines. `looked` is when it last found nothing, where it looks from time to time.
    pub(super) fn of_lines(
        lines: Receiver<Vec<Taken>>,
        waiting_since: Arc<AtomicU64>,
        looked: Option<Arc<AtomicU64>>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        SourceHandle {
            lines,
            waiting_since,
            quiet: QUIET_LINES,
            looked,
            tells_when: false,
            positions: None,
            status: None,
            stop,
            listener: None,
        }
    }

    /// A source of several parts, which tells when it has handed on all there was.
    pub(super) fn of_parts(lines: Receiver<Vec<Taken>>, positions: Arc<Positions>, status: Option<Arc<KafkaStatus>>) -> Self {
        let source = SourceHandle::of_lines(lines, Arc::default(), None, Arc::default());
        SourceHandle { tells_when: true, positions: Some(positions), status, ..source }
    }

    /// Whether it has any of its parts.
    pub(super) fn has_parts(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.reads_some())
    }

    /// Whether nothing can be read now, whatever it has.
    pub(super) fn is_away(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.reads_nothing())
    }

    /// A source that is sent events.
    pub(super) fn of_requests(listener: Listener, lines: Receiver<Vec<Taken>>) -> Self {
        let waiting_since = listener.waiting_since();
        let source = SourceHandle::of_lines(lines, waiting_since, None, Arc::default());
        SourceHandle { quiet: QUIET_SENDERS, listener: Some(listener), ..source }
    }

    pub(super) fn tell(&self, standing: Standing) {
        if let Some(listener) = &self.listener {
            listener.tell(standing);
        }
    }
}
