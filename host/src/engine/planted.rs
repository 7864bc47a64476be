//! Mistakes that tests plant in the engine, one at a time, to see that the simulation finds each. A host has none of them:
//! outside tests [`planted`] is a constant.

/// A mistake, as somebody might make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests plant any"))]
pub(super) enum Mistake {
    /// The source's position passes events that are not decided yet.
    PositionFirst,
    /// An intent is not written to the outbox.
    OutboxForgotten,
    /// A concluded intent stays in the outbox.
    OutboxKept,
    /// An intent that succeeded is performed once more.
    SuccessRepeated,
    /// Intents are performed before their commit is durable.
    ActBeforeCommit,
    /// A timer is known by its name alone, whichever decision set it.
    TimerGenerationForgotten,
    /// A timer fires without regard to what the source still holds.
    TimerUnheedingOfSource,
    /// A start does not read what was accepted before.
    DuplicatesForgotten,
    /// A start takes up intents in the wrong order.
    RecoveredBackwards,
    /// A start does not take up deliveries.
    DeliveriesForgotten,
    /// Events of a parked entity pass those that wait.
    InboxPassed,
    /// What waits in an inbox is not written down.
    InboxForgotten,
    /// A commit that the store refuses counts as durable.
    RefusedCommitTaken,
    /// An intent does not wait for those that it comes after.
    AfterIgnored,
    /// An entity leaves the memory before its commit is durable.
    EvictedTooEarly,
    /// What comes after a failed intent is left as it is.
    DependentsForgotten,
    /// A rejection has no number of its own.
    RejectionUncounted,
    /// What could not be read is not tried again.
    UnreadForgotten,
    /// A sender is answered before the commit of its event is durable.
    AnsweredEarly,
    /// Events that were sent are not written down as accepted.
    SentForgotten,
    /// An intent is given up without regard to the attempt at it.
    GivenUpInItsLane,
    /// An intent that is being given up is read back into its lane.
    GivenUpReadBack,
    /// That an intent was given up is journaled, and not written to the outbox.
    GivenUpUnkept,
    /// A start does not know what was paused.
    PausesForgotten,
    /// A start does not tell the lanes which effects are paused.
    LanesUnpaused,
    /// An effect goes on before it is durable that it may.
    ResumedEarly,
    /// A start does not go on with what is being erased.
    ErasureForgotten,
    /// The state goes with what is erased, although it was to stay.
    KeptStateErased,
    /// Truncation does not ask which decisions are still needed.
    NeededTruncated,
    /// An event of another host's shard is passed by and not left to it.
    ForwardedForgotten,
    /// What another host left stays there when it is decided.
    ForwardedKept,
    /// Whether an event that another host left is a duplicate is not asked.
    ForwardedTwice,
    /// What was left for this host before it began is passed by what it reads itself.
    OthersPassed,
    /// Attempts start although the lease is over.
    LeaseUnheeded,
    /// A commit does not ask whether its epoch is in force.
    EpochUnheeded,
    /// An intent that is read back is performed as the release in force says, whichever asked for it.
    PerformedAnew,
    /// An outcome is told by the names that the release in force has, whichever asked for the intent.
    AskedUnderForgotten,
    /// A start goes on under the release that it is given, although a younger one is in force.
    YoungestUnheeded,
    /// What was read under an earlier release is taken as it was read.
    ReadBefore,
    /// A timer of an earlier release is taken for void under one that sets none.
    UnroutedTimerForgotten,
    /// A release comes into force after another one than it was judged against.
    BaseUnheeded,
}

#[cfg(not(test))]
pub(super) const fn planted(_: Mistake) -> bool {
    false
}

#[cfg(test)]
pub(super) use tests::planted;

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    use super::Mistake;

    thread_local! {
        static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    /// Whether the simulation that runs on this thread is to make this mistake.
    pub(in crate::engine) fn planted(mistake: Mistake) -> bool {
        PLANTED.get() == Some(mistake)
    }

    /// Plants a mistake in whatever this thread simulates from now on.
    pub(in crate::engine) fn plant(mistake: Mistake) {
        PLANTED.set(Some(mistake));
    }

    impl Mistake {
        pub(in crate::engine) const ALL: [Mistake; 41] = [
            Mistake::PositionFirst,
            Mistake::OutboxForgotten,
            Mistake::OutboxKept,
            Mistake::SuccessRepeated,
            Mistake::ActBeforeCommit,
            Mistake::TimerGenerationForgotten,
            Mistake::TimerUnheedingOfSource,
            Mistake::DuplicatesForgotten,
            Mistake::RecoveredBackwards,
            Mistake::DeliveriesForgotten,
            Mistake::InboxPassed,
            Mistake::InboxForgotten,
            Mistake::RefusedCommitTaken,
            Mistake::AfterIgnored,
            Mistake::EvictedTooEarly,
            Mistake::DependentsForgotten,
            Mistake::RejectionUncounted,
            Mistake::UnreadForgotten,
            Mistake::AnsweredEarly,
            Mistake::SentForgotten,
            Mistake::GivenUpInItsLane,
            Mistake::GivenUpReadBack,
            Mistake::GivenUpUnkept,
            Mistake::PausesForgotten,
            Mistake::LanesUnpaused,
            Mistake::ResumedEarly,
            Mistake::ErasureForgotten,
            Mistake::KeptStateErased,
            Mistake::NeededTruncated,
            Mistake::ForwardedForgotten,
            Mistake::ForwardedKept,
            Mistake::ForwardedTwice,
            Mistake::OthersPassed,
            Mistake::LeaseUnheeded,
            Mistake::EpochUnheeded,
            Mistake::PerformedAnew,
            Mistake::AskedUnderForgotten,
            Mistake::YoungestUnheeded,
            Mistake::ReadBefore,
            Mistake::UnroutedTimerForgotten,
            Mistake::BaseUnheeded,
        ];

        /// Those that several hosts on one store are needed to find.
        pub(in crate::engine) const OF_SEVERAL: [Mistake; 6] = [
            Mistake::OthersPassed,
            Mistake::ForwardedForgotten,
            Mistake::ForwardedKept,
            Mistake::ForwardedTwice,
            Mistake::LeaseUnheeded,
            Mistake::EpochUnheeded,
        ];
    }
}
