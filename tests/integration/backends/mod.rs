//! The real services.

mod instances;

use purefold_services::Cache;

use crate::program::target_folder;

/// Where downloads are kept, the same folder as `cargo xtask` has.
fn cache() -> Cache {
    Cache::new(target_folder().join("services"))
}
