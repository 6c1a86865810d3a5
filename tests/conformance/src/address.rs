//! Addresses for processes that are started with one. A port that the system gives to whoever asks for any may be somebody's again before the
//! process has it, an outgoing connection's for one; these come from below that range, each once.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the ports that the system gives (ip_local_port_range: from 32768 on).
const FIRST: u32 = 10_000;
const PORTS: u32 = 22_000;

/// An address on this machine that nobody has, and that nobody gets by chance.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test programs that run at the same time begin far from each other.
    let begin = std::process::id().wrapping_mul(7919);
    for _ in 0..PORTS {
        let port = FIRST + begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).expect("below 32000")));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port");
}
