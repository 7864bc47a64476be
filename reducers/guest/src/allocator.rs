//! A bump allocator: a sandbox lives for one decision, so nothing needs to be found again once it is freed.
//!
//! Allocation is an addition; the block allocated last can grow, shrink and be given back in place, which is what a growing
//! `Vec` or `String` mostly asks for. Memory starts behind the stack and the static data in the first page, and grows by
//! whole pages when that is used up, until the host's limit ends the decision.
#![allow(unsafe_code, reason = "an allocator implements an unsafe trait and hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::Cell;
use core::ptr;

const PAGE: usize = 64 * 1024;

#[global_allocator]
static ALLOCATOR: Bump = Bump { next: Cell::new(0) };

unsafe extern "C" {
    /// Where the linker ends the static data; only its address means anything.
    static __heap_base: u8;
}

struct Bump {
    /// The first free address; 0 before the first allocation.
    next: Cell<usize>,
}

// SAFETY: the determinism profile has no threads, so nothing is ever shared between two.
unsafe impl Sync for Bump {}

impl Bump {
    fn next(&self) -> usize {
        match self.next.get() {
            0 => &raw const __heap_base as usize,
            next => next,
        }
    }

    /// Claims the addresses up to `end`; false where the memory cannot grow so far.
    fn claim(&self, end: usize) -> bool {
        let have = wasm32::memory_size::<0>() * PAGE;
        if end > have && wasm32::memory_grow::<0>((end - have).div_ceil(PAGE)) == usize::MAX {
            return false;
        }
        self.next.set(end);
        true
    }
}

// SAFETY: blocks are disjoint, since `next` never falls below the end of a block that is still in use; `claim` makes sure that
// the memory is there; and `start` is rounded up to the alignment.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(start) = self.next().checked_next_multiple_of(layout.align()) else { return ptr::null_mut() };
        match start.checked_add(layout.size()) {
            Some(end) if self.claim(end) => start as *mut u8,
            _ => ptr::null_mut(),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next() {
            self.next.set(block as usize);
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if block as usize + layout.size() == self.next() {
            return match (block as usize).checked_add(size) {
                Some(end) if self.claim(end) => block,
                _ => ptr::null_mut(),
            };
        }
        if size <= layout.size() {
            return block;
        }
        // SAFETY: the caller's layout was valid and `size` is its promise not to overflow when rounded up; the new block is
        // another one than the old, which holds `layout.size()` bytes.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(block, new, layout.size());
            }
            new
        }
    }
}
