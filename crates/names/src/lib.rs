//! Lets a static binary look up names by itself.
//!
//! glibc looks up hosts and users through modules that `/etc/nsswitch.conf` names, and a static binary
//! loads them from the machine it is on. Where they belong to another glibc, the process dies in the
//! middle of a lookup: a binary from one Debian did, on the next one with `resolve` or `mdns4_minimal`.
//! What `files` and `dns` name is in the binary itself, since glibc 2.34.

/// Uses no modules of the machine. To be called before anything is looked up.
///
/// `/etc/hosts` and the name servers of `/etc/resolv.conf` are asked, and nothing else. In a binary
/// that is not linked with a static glibc this does nothing.
pub fn look_up_without_modules() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    for (database, services) in [
        (c"hosts", c"files dns"),
        (c"passwd", c"files"),
        (c"group", c"files"),
        (c"services", c"files"),
    ] {
        configure(database, services);
    }
}

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
#[allow(unsafe_code)] // The system offers this as a C function only.
fn configure(database: &std::ffi::CStr, services: &std::ffi::CStr) {
    use std::ffi::{c_char, c_int};
    unsafe extern "C" {
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }
    // SAFETY: both are texts that end in a zero byte and live as long as the program; glibc copies what
    // it keeps, under its own lock.
    let failed = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
    debug_assert_eq!(failed, 0, "glibc knows these");
}
