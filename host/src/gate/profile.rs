//! The profile as the gate holds components to it. The sandbox's engine is configured to admit the same.

use wasmparser::WasmFeatures;

/// The features of WebAssembly that a reducer may use: those whose results are the same on every machine and in every
/// run, and that need no help from the host. The one list of them; the sandbox's configuration is tested against it.
///
/// Floating point is in because the engine makes every NaN canonical. Tail calls, fixed-width SIMD and typed references to
/// functions are deterministic.
pub const PROFILE_FEATURES: WasmFeatures = WasmFeatures::MUTABLE_GLOBAL
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::COMPONENT_MODEL);

/// The largest component that is looked at.
pub const COMPONENT_BYTES_MOST: usize = 16 << 20;

/// Core instances of one component; a component that `purefold component` makes has one.
pub const CORE_INSTANCES_MOST: usize = 4;

/// Linear memories of one component.
pub const MEMORIES_MOST: usize = 1;

/// Tables of one component.
pub const TABLES_MOST: usize = 4;

/// Elements of one table.
pub const TABLE_ELEMENTS_MOST: u64 = 10_000;

/// Components within a component, at any depth; bindings make a few to rename their types.
pub const NESTED_COMPONENTS_MOST: usize = 32;

/// A feature outside the profile, as people call it, and what to do about it.
pub(super) struct Forbidden {
    pub(super) feature: WasmFeatures,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
}

/// What a reader is told about the features that are met in practice. Any other one is told by its proposal's name.
pub(super) const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        feature: WasmFeatures::THREADS,
        name: "threads (shared memory, atomics)",
        help: "a decision runs alone: build without `+atomics` and use no threads",
    },
    Forbidden {
        feature: WasmFeatures::SHARED_EVERYTHING_THREADS,
        name: "threads (shared everything)",
        help: "a decision runs alone: use no threads",
    },
    Forbidden {
        feature: WasmFeatures::RELAXED_SIMD,
        name: "relaxed SIMD",
        help: "its results depend on the processor: build without `+relaxed-simd` and use the exact instructions",
    },
    Forbidden { feature: WasmFeatures::GC, name: "GC", help: "compile for linear memory: the sandbox has no garbage collector" },
    Forbidden {
        feature: WasmFeatures::GC_TYPES,
        name: "references to host objects (externref)",
        help: "compile for linear memory: a reducer is handed plain values only",
    },
    Forbidden { feature: WasmFeatures::MEMORY64, name: "memory64", help: "build for wasm32" },
    Forbidden { feature: WasmFeatures::MULTI_MEMORY, name: "multiple memories", help: "link the reducer into a module with one memory" },
    Forbidden {
        feature: WasmFeatures::EXCEPTIONS,
        name: "exceptions",
        help: "build without exception handling (`panic = \"abort\"` in Rust); return rejections instead",
    },
    Forbidden {
        feature: WasmFeatures::LEGACY_EXCEPTIONS,
        name: "exceptions (legacy)",
        help: "build without exception handling; return rejections instead",
    },
    Forbidden { feature: WasmFeatures::STACK_SWITCHING, name: "stack switching", help: "build for the WebAssembly 2.0 feature set" },
    Forbidden { feature: WasmFeatures::WIDE_ARITHMETIC, name: "wide arithmetic", help: "build without `+wide-arithmetic`" },
    Forbidden { feature: WasmFeatures::CUSTOM_PAGE_SIZES, name: "custom page sizes", help: "use memories of 64 KiB pages" },
    Forbidden {
        feature: WasmFeatures::CM_ASYNC,
        name: "component async",
        help: "export `reduce` as a plain function: a decision waits for nothing, what has to be waited for is an intent",
    },
    Forbidden { feature: WasmFeatures::CM_THREADING, name: "component threads", help: "a decision runs alone: use no threads" },
];
