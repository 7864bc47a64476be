//! The determinism profile: every knob of the engine that could let two runs differ.

use std::path::{Path, PathBuf};

use crate::gate::PROFILE_FEATURES;
use wasmtime::{Cache, CacheConfig, Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Result};

/// The engine build that decides; part of every journal entry's fingerprint.
pub const ENGINE_BUILD: &str = "wasmtime-48.0.8";

/// Names the directory for compiled code, where it is not the user's cache directory.
pub const CACHE_VARIABLE: &str = "PUREFOLD_CACHE";

/// Sandboxes alive at one time in one process: reducing workers, `verify` and tests together stay below it.
pub const MOST_INSTANCES: u32 = 64;

/// The largest linear memory that any manifest may grant a reducer.
pub const MOST_MEMORY_BYTES: usize = 256 << 20;

/// The stack of a decision, host frames not counted.
pub const STACK_BYTES: usize = 512 << 10;

/// Memory that a pool slot keeps mapped between decisions, so that a small guest costs no page fault.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// What one decision may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of work, about one for each WebAssembly instruction.
    pub fuel: u64,
    /// Linear memory.
    pub memory_bytes: usize,
    /// Canonical JSON of state and intents together.
    pub output_bytes: usize,
    /// Intents of one decision.
    pub intents: usize,
}

impl Default for Limits {
    /// 50 million units of fuel, 16 MiB of memory, 1 MiB of output, 64 intents.
    fn default() -> Self {
        Limits { fuel: 50_000_000, memory_bytes: 16 << 20, output_bytes: 1 << 20, intents: 64 }
    }
}

impl Limits {
    /// The most that any manifest may grant.
    pub const MOST: Limits = Limits {
        // Minutes of computing: far more than a decision should ever need.
        fuel: 1_000_000_000_000,
        memory_bytes: MOST_MEMORY_BYTES,
        output_bytes: 64 << 20,
        intents: 10_000,
    };

    /// The semantic profile: whatever two hosts must have in common to agree on every decision, faults by limit included.
    #[must_use]
    pub fn semantic_profile(&self) -> String {
        format!(
            "purefold-1 fuel={} memory={} stack={STACK_BYTES} output={} intents={}",
            self.fuel, self.memory_bytes, self.output_bytes, self.intents
        )
    }

    /// The limits that a [`Limits::semantic_profile`] names; none where this version cannot keep to them, or nobody may grant them.
    #[must_use]
    pub fn from_semantic_profile(text: &str) -> Option<Self> {
        let number = |name: &str| text.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok());
        let size = |name: &str| usize::try_from(number(name)?).ok();
        let limits =
            Limits { fuel: number("fuel")?, memory_bytes: size("memory")?, output_bytes: size("output")?, intents: size("intents")? };
        let most = Limits::MOST;
        let may_be = limits.fuel <= most.fuel
            && limits.memory_bytes <= most.memory_bytes
            && limits.output_bytes <= most.output_bytes
            && limits.intents <= most.intents;
        (may_be && text.starts_with(&limits.semantic_profile())).then_some(limits)
    }
}

pub(super) fn config() -> Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MOST_INSTANCES)
        .total_core_instances(MOST_INSTANCES * 4)
        .total_memories(MOST_INSTANCES)
        .total_tables(MOST_INSTANCES * 4)
        .max_memory_size(MOST_MEMORY_BYTES)
        .max_unused_warm_slots(MOST_INSTANCES)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES);

    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .max_wasm_stack(STACK_BYTES)
        // One list says what a component may use; the gate names what it refuses, the engine would not compile it.
        .wasm_features(PROFILE_FEATURES, true)
        .wasm_features(!PROFILE_FEATURES, false)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(None)
        .cache(cache());
    Ok(config)
}

/// The cache of compiled code; none where its folder cannot be used: then each start compiles.
fn cache() -> Option<Cache> {
    let directory = cache_directory();
    match cache_config(&directory).and_then(Cache::new) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!(
                folder = %directory.display(), error = format!("{error:#}"),
                "compiled components are not kept, and each start compiles anew; {CACHE_VARIABLE} names a folder that can be written"
            );
            None
        }
    }
}

fn cache_config(directory: &Path) -> Result<CacheConfig> {
    create_private(directory)?;
    let mut config = CacheConfig::new();
    // The cache wants an absolute path without links.
    config.with_directory(directory.canonicalize()?);
    Ok(config)
}

fn cache_directory() -> PathBuf {
    let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    named(CACHE_VARIABLE)
        .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("purefold")))
        .or_else(|| named("HOME").map(|home| home.join(".cache").join("purefold")))
        .unwrap_or_else(|| std::env::temp_dir().join("purefold-cache"))
}

/// Compiled code is trusted when it is read back, so nobody else may write it.
fn create_private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    Ok(())
}
