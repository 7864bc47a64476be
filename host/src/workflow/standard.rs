//! The standard types of `purefold:reducer`, recognised by structure.

use purefold_wit::{Type, standard};

pub(super) fn is_timer(ty: &Type) -> bool {
    *ty == standard::timer()
}

pub(super) fn is_timer_cancel(ty: &Type) -> bool {
    *ty == standard::timer_cancel()
}

pub(super) fn is_failure(ty: &Type) -> bool {
    *ty == standard::failure()
}

/// Whether a field of this type can name an entity.
pub(super) fn is_key(ty: &Type) -> bool {
    matches!(
        ty,
        Type::String
            | Type::Uuid
            | Type::Enum(_)
            | Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::S8
            | Type::S16
            | Type::S32
            | Type::S64
    )
}
