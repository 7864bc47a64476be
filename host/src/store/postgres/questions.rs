//! The questions that are under way, so that whoever looks from outside sees that a server does not answer before the time
//! for an answer is over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What this process has asked one place and not been answered. There are no more than connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Questions(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    /// When each was asked. Numbers go on, so the first is the oldest.
    since: BTreeMap<u64, Instant>,
    last: u64,
}

/// A question, for as long as it is under way.
pub(super) struct Question {
    questions: Questions,
    number: u64,
}

impl Questions {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is asked.
    pub(super) fn ask(&self) -> Question {
        let mut asked = self.lock();
        asked.last += 1;
        let number = asked.last;
        asked.since.insert(number, Instant::now());
        Question { questions: self.clone(), number }
    }

    /// How long the oldest has been under way.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.lock().since.first_key_value().map(|(_, since)| since.elapsed())
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.questions.lock().since.remove(&self.number);
    }
}

/// What was asked is no part of which place it is.
impl PartialEq for Questions {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Questions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_question_counts_until_it_is_answered() {
        let questions = Questions::default();
        assert_eq!(questions.oldest(), None);
        let first = questions.ask();
        std::thread::sleep(Duration::from_millis(20));
        let second = questions.ask();
        assert!(questions.oldest() >= Some(Duration::from_millis(20)));
        drop(first);
        assert!(questions.oldest() < Some(Duration::from_millis(20)));
        drop(second);
        assert_eq!(questions.oldest(), None);
    }
}
