//! High-water marks: how far each lane has come, in the same transaction as the lane's own change.
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

/// How many values a lane's mark has. [`MOVE`] takes a list of texts for each; a change has them as its first parameters.
pub(crate) const PARAMETERS: usize = 6;

/// Moves the marks of the lanes that have not been here yet, before anything is changed, in the same transaction. No lane may come
/// twice. It waits where an older attempt is still under way; what follows is a statement of its own, so that it sees what that
/// attempt did.
pub(super) const MOVE: &str = "INSERT INTO purefold_marks AS lane (journal, workflow, effect, entity, sequence, idx)
SELECT v1::uuid, v2, v3, v4, v5::bigint, v6::integer
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[]) AS given (v1, v2, v3, v4, v5, v6)
ON CONFLICT (journal, workflow, effect, entity) DO UPDATE SET sequence = excluded.sequence, idx = excluded.idx
WHERE (lane.sequence, lane.idx) < (excluded.sequence, excluded.idx)";

/// Holds of a lane whose mark this transaction has moved: the row was written by it. The columns of `of` are the values of the mark.
pub(crate) fn is_moved(of: [&str; PARAMETERS]) -> String {
    let [journal, workflow, effect, entity, sequence, index] = of;
    format!(
        "lane.journal = {journal}::uuid AND lane.workflow = {workflow}::text AND lane.effect = {effect}::text \
         AND lane.entity = {entity}::text AND lane.sequence = {sequence}::bigint AND lane.idx = {index}::integer \
         AND lane.xmin::text::bigint = (txid_current() & 4294967295)"
    )
}

/// The values of one call's mark.
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
