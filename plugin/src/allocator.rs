//! The component's allocator. A call makes some thousands of small allocations and is over: its instance, with all its memory, is dropped.
//! So small blocks come from lists of free blocks of their size class, in a few instructions each way; a block that grows within its class
//! stays where it is. They are cut from the memory that an instance begins with, which is enough for a sign-in: memory that grows is a
//! system call, and one more when the next instance begins with less again. What goes beyond that, and large blocks, are the general
//! allocator's. Small blocks are never joined again, so what a call has freed of one size isn't there for another.
//!
//! There is one thread in a component, and none of this runs beside itself: an allocation calls nobody who allocates here.
#![allow(unsafe_code, reason = "a global allocator is; each block says why it is sound")]

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::{NonNull, null_mut};

/// The smallest class, in bytes, and how blocks are aligned.
const LEAST: usize = 16;
/// Classes: 16, 32, 64, … bytes, to 32 KiB, which is more than a token, an answer with one, or a key set.
const CLASSES: usize = 12;
/// What is asked of the general allocator at a time, in bytes: a multiple of the largest class.
const PIECE: usize = 64 << 10;

/// A free block: it holds where the next one of its class is.
struct Free {
    next: *mut Free,
}

struct Lists {
    free: [*mut Free; CLASSES],
    /// The piece that blocks are cut from: where its rest begins, and how many bytes that has.
    rest: *mut u8,
    left: usize,
    /// Whether the first piece, of which there is one only, was taken.
    began: bool,
}

/// The allocator.
pub(crate) struct SizeClasses(UnsafeCell<Lists>);

// SAFETY: a component has one thread; natively nothing but a test has one of these, and no two threads have the same.
unsafe impl Sync for SizeClasses {}

/// Which class has room for it; `None`: it is too large, or aligned in a way that blocks aren't.
fn class(layout: Layout) -> Option<usize> {
    if layout.size() > LEAST << (CLASSES - 1) || layout.align() > LEAST {
        return None;
    }
    // 1 to 16 bytes: 0, to 32: 1, to 64: 2.
    let above = (layout.size().max(1) - 1) / LEAST;
    Some((usize::BITS - above.leading_zeros()) as usize)
}

/// The memory that an instance begins with, behind its stack and its data: nobody else's, since the general allocator takes only what it makes
/// grow. How much that is, the linker is told (`--initial-memory` in `.cargo/config.toml`).
#[cfg(target_arch = "wasm32")]
fn first_piece() -> (*mut u8, usize) {
    unsafe extern "C" {
        static mut __heap_base: u8;
        static mut __heap_end: u8;
    }
    // Only where they are is asked, which reads nothing.
    let (base, end) = (&raw mut __heap_base, &raw mut __heap_end);
    let skipped = base.align_offset(LEAST);
    match end.addr().checked_sub(base.addr()).and_then(|bytes| bytes.checked_sub(skipped)) {
        Some(bytes) => (base.wrapping_add(skipped), bytes / LEAST * LEAST),
        None => (null_mut(), 0),
    }
}

/// Natively there is none.
#[cfg(not(target_arch = "wasm32"))]
fn first_piece() -> (*mut u8, usize) {
    (null_mut(), 0)
}

impl SizeClasses {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Lists { free: [null_mut(); CLASSES], rest: null_mut(), left: 0, began: false }))
    }
}

impl Lists {
    /// A block of a class whose list is empty, cut from the piece.
    #[cold]
    #[inline(never)]
    fn cut(&mut self, class: usize, layout: Layout) -> NonNull<u8> {
        let bytes = LEAST << class;
        if self.left < bytes {
            // What was left of the former piece is given up.
            (self.rest, self.left) =
                if std::mem::replace(&mut self.began, true) { (null_mut(), 0) } else { first_piece() };
            if self.left < bytes {
                let Ok(piece) = Layout::from_size_align(PIECE, LEAST) else { handle_alloc_error(layout) };
                // SAFETY: the layout's size isn't 0.
                (self.rest, self.left) = (unsafe { System.alloc(piece) }, PIECE);
            }
        }
        let Some(block) = NonNull::new(self.rest) else { handle_alloc_error(layout) };
        // SAFETY: the piece has `left` bytes from `rest` on, and `bytes` is at most that. All sizes are multiples of `LEAST`, to which the
        // piece is aligned, so every block is.
        self.rest = unsafe { block.add(bytes) }.as_ptr();
        self.left -= bytes;
        block
    }
}

/// What gives memory says in its type that there is some: a caller has no way for none, of which there would be one in every place that
/// allocates. Without memory the component ends here, as it did there.
impl SizeClasses {
    /// # Safety
    /// As of [`GlobalAlloc::alloc`].
    #[inline(never)] // or there would be a copy of it in every place that allocates, in a component that is to be small
    unsafe fn give(&self, layout: Layout) -> NonNull<u8> {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promise.
            return NonNull::new(unsafe { System.alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        };
        // SAFETY: nothing else has a reference now: one thread, and no call in here comes back to this allocator.
        let lists = unsafe { &mut *self.0.get() };
        match lists.free.get_mut(class).and_then(|first| Some((NonNull::new(*first)?, first))) {
            Some((block, first)) => {
                // SAFETY: what is on a list is a free block, written by `dealloc`.
                *first = unsafe { block.read() }.next;
                block.cast()
            }
            None => lists.cut(class, layout),
        }
    }

    /// # Safety
    /// As of [`GlobalAlloc::realloc`].
    #[inline(never)]
    unsafe fn give_again(&self, block: *mut u8, layout: Layout, wanted: Layout) -> NonNull<u8> {
        match (class(layout), class(wanted)) {
            (Some(old), Some(new)) if old == new => NonNull::new(block),
            // SAFETY: both are the general allocator's.
            (None, None) => NonNull::new(unsafe { System.realloc(block, layout, wanted.size()) }),
            _ => {
                // SAFETY: the caller's promise; the two blocks don't overlap, and both have the smaller of the two sizes.
                unsafe {
                    let other = self.give(wanted);
                    std::ptr::copy_nonoverlapping(block, other.as_ptr(), layout.size().min(wanted.size()));
                    self.dealloc(block, layout);
                    Some(other)
                }
            }
        }
        .unwrap_or_else(|| handle_alloc_error(wanted))
    }
}

// SAFETY: a block is handed out once until it is freed: it comes off its list, or is cut off the piece. It has its class's size, which is at
// least the layout's, and is aligned to `LEAST`, which is at least the layout's alignment. What has no class is the general allocator's from
// its allocation to its end, since the same layout has the same class each time.
unsafe impl GlobalAlloc for SizeClasses {
    #[expect(clippy::inline_always, reason = "a call in a call, of which the inner one is shared")]
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.give(layout) }.as_ptr()
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promise, and a layout without a class was the general allocator's.
            return unsafe { System.dealloc(block, layout) };
        };
        // SAFETY: as in `alloc`.
        let lists = unsafe { &mut *self.0.get() };
        if let Some(first) = lists.free.get_mut(class) {
            let block: *mut Free = block.cast();
            // SAFETY: the block is the caller's no longer, has at least `LEAST` bytes and is aligned to that, which is more than `Free` needs.
            unsafe { block.write(Free { next: *first }) };
            *first = block;
        }
    }

    #[expect(clippy::inline_always, reason = "as in `alloc`")]
    #[inline(always)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: `size`, rounded up to the alignment, is no more than `isize::MAX`.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller's promise.
        unsafe { self.give_again(block, layout, wanted) }.as_ptr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_size() {
        let of = |size, align| class(Layout::from_size_align(size, align).unwrap());
        for (size, expected) in [
            (0, Some(0)),
            (1, Some(0)),
            (16, Some(0)),
            (17, Some(1)),
            (32, Some(1)),
            (33, Some(2)),
            (64, Some(2)),
            (65, Some(3)),
            (1024, Some(6)),
            (1025, Some(7)),
            (2048, Some(7)),
            (16_385, Some(11)),
            (32_768, Some(11)),
            (32_769, None),
        ] {
            assert_eq!(of(size, 1), expected, "{size}");
            assert!(expected.is_none_or(|class| LEAST << class >= size), "{size}");
        }
        assert_eq!((of(8, 16), of(8, 32)), (Some(0), None), "alignment");
    }

    /// Blocks of all sizes come, grow, shrink and go in no order: each keeps what was written into it, and none lies in another.
    #[test]
    fn blocks_keep_what_is_in_them() {
        let allocator = SizeClasses::new();
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for step in 0..60_000_u32 {
            let mark = step.to_le_bytes()[0];
            let layout =
                Layout::from_size_align(1 + random(if step % 7 == 0 { 50_000 } else { 300 }), 1 << random(5)).unwrap();
            match random(5) {
                0 | 1 => {
                    // SAFETY: the size isn't 0; what is written lies within it.
                    let block = unsafe { allocator.alloc(layout) };
                    assert!(!block.is_null() && block.addr() % layout.align() == 0);
                    unsafe { block.write_bytes(mark, layout.size()) };
                    blocks.push((block, layout, mark));
                }
                2 if !blocks.is_empty() => {
                    let (block, old, mark) = blocks.swap_remove(random(blocks.len()));
                    // SAFETY: it is a block of this layout, and isn't used afterwards.
                    let block = unsafe { allocator.realloc(block, old, layout.size()) };
                    let new = Layout::from_size_align(layout.size(), old.align()).unwrap();
                    assert!(!block.is_null() && block.addr() % new.align() == 0);
                    check(block, old.size().min(new.size()), mark);
                    unsafe { block.write_bytes(mark, new.size()) };
                    blocks.push((block, new, mark));
                }
                _ if !blocks.is_empty() => {
                    let (block, layout, mark) = blocks.swap_remove(random(blocks.len()));
                    check(block, layout.size(), mark);
                    // SAFETY: as above.
                    unsafe { allocator.dealloc(block, layout) };
                }
                _ => {}
            }
        }
        assert!(blocks.len() > 10, "nothing was left to look at");
        for (block, layout, mark) in blocks {
            check(block, layout.size(), mark);
            // SAFETY: as above.
            unsafe { allocator.dealloc(block, layout) };
        }
    }

    fn check(block: *mut u8, bytes: usize, mark: u8) {
        // SAFETY: the block has as many, all written.
        let found = unsafe { std::slice::from_raw_parts(block, bytes) };
        assert!(found.iter().all(|byte| *byte == mark), "a block of {bytes} bytes was written by another");
    }
}
