//! The entity that a command names.

use purefold::store::EntityRow;

use super::open::Stored;

/// The entity of that key; none where that was told to be unknown.
pub(super) fn known(stored: &Stored, key: &str) -> anyhow::Result<Option<EntityRow>> {
    // The empty key is the workflow's own: no entity has it.
    let entity = if key.is_empty() { None } else { stored.reader.entity(stored.id, key)? };
    if entity.is_none() {
        eprintln!("error: workflow {:?} knows no entity {key:?}", stored.workflow.name);
    }
    Ok(entity)
}
