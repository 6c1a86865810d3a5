//! The one call of the C library that std has no word for: the allocator gives free memory back to the system.
#![expect(unsafe_code, reason = "a foreign function; it takes a number and touches free memory only")]

/// Gives back what is free, of all threads: compiling a component takes some 40 MiB for a second, which the C library would
/// keep for good. Takes some milliseconds. Other C libraries than GNU's give back by themselves, or can't be asked.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` may be called at any time from any thread (MT-Safe in its manual), and changes no live memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
