//! High-water marks: how far each lane has come, in the same statement as the lane's own change.
//!
//! A lane's intents come in the order of (sequence, index). One that is not past the mark was done already, or is a
//! straggler that a later one has overtaken; either way it changes nothing any more.

use crate::Call;
use crate::postgres::Text;

/// The table of the marks. It has a row for each entity that ever wrote by an effect.
pub(crate) const TABLE: &str = "purefold_marks";

/// Makes the table. Room is left on its pages: a mark that moves stays on its page, and no index is touched.
pub(crate) const DEFINITION: &str = "CREATE TABLE IF NOT EXISTS purefold_marks (
    journal uuid NOT NULL,
    workflow text NOT NULL,
    effect text NOT NULL,
    entity text NOT NULL,
    sequence bigint NOT NULL,
    idx integer NOT NULL,
    PRIMARY KEY (journal, workflow, effect, entity)
) WITH (fillfactor = 70)";

/// How many parameters [`WITH`] takes, from `$1` on.
pub(crate) const PARAMETERS: usize = 6;

/// Begins a statement that goes on only if `mark` has a row: then the lane has not been here yet.
pub(crate) const WITH: &str = "WITH mark AS (
    INSERT INTO purefold_marks AS lane (journal, workflow, effect, entity, sequence, idx)
    VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::bigint, $6::integer)
    ON CONFLICT (journal, workflow, effect, entity) DO UPDATE SET sequence = excluded.sequence, idx = excluded.idx
    WHERE (lane.sequence, lane.idx) < (excluded.sequence, excluded.idx)
    RETURNING 1
)
";

/// Begins a statement about many lanes: the first parameters are lists of what [`WITH`] takes, and `given` names all lists' columns
/// from `v1` on. Those that go on are the rows of `purefold_ahead`: lanes that have not been here yet. No lane may come twice.
pub(crate) const WITH_MANY: &str = ", mark AS (
    INSERT INTO purefold_marks AS lane (journal, workflow, effect, entity, sequence, idx)
    SELECT v1::uuid, v2, v3, v4, v5::bigint, v6::integer FROM given
    ON CONFLICT (journal, workflow, effect, entity) DO UPDATE SET sequence = excluded.sequence, idx = excluded.idx
    WHERE (lane.sequence, lane.idx) < (excluded.sequence, excluded.idx)
    RETURNING journal, workflow, entity
), purefold_ahead AS (
    SELECT given.* FROM given JOIN mark ON mark.entity = given.v4 AND mark.workflow = given.v2 AND mark.journal = given.v1::uuid
)
";

/// The values of [`WITH`]'s parameters for one call.
pub(super) fn values(call: &Call, effect: &str) -> [Text; PARAMETERS] {
    [
        Text::of(&*call.journal),
        Text::of(&*call.workflow),
        Text::of(effect),
        Text::of(&*call.entity),
        Text::of(call.sequence.to_string()),
        Text::of(call.index.to_string()),
    ]
}
