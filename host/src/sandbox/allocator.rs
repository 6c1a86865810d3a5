//! Giving free memory back to the system, which std has no word for.
#![expect(unsafe_code, reason = "foreign functions; they take a number and touch free memory only")]

/// Gives back what is free: compiling a component takes some 60 MiB for a second, which an allocator would keep for good. Takes some
/// milliseconds. For the binary's allocator, and for GNU's C library under an application that embeds this one; others give back by
/// themselves, or can't be asked.
pub(super) fn give_back() {
    // SAFETY: `mi_collect` may be called at any time from any thread, and changes no live memory; without anything allocated by mimalloc
    // there is nothing to do.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time from any thread (MT-Safe in its manual), and changes no live memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
