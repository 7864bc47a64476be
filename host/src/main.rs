//! The command `purefold`.

mod cli;

use std::process::ExitCode;

// Decisions and their JSON are many small allocations on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
