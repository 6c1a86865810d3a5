//! `login.complete` (RS256, 2048 bits) so many times, for a profile: perf(1) is told where the component's functions are. Not prepared, which
//! takes the functions' names away: so the configuration is read each time. `flamegraph.sh` runs it.
//!
//! `complete-again COMPONENT TIMES`

use bench::offline::{Signer, Stage};
use defguard_openid_host::sandbox::Limits;

/// Sign-ins that are begun before they are completed: signing their tokens isn't what is looked at.
const TURN: usize = 500;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [component, times] = arguments.as_slice() else {
        return Err("usage: complete-again COMPONENT TIMES".into());
    };
    let limits = Limits { perf_map: true, ..Limits::default() };
    let stage = Stage::with_limits(Signer::Rsa2048, component.as_ref(), false, limits).await;
    let mut left: usize = times.parse()?;
    while left > 0 {
        let mut begun = Vec::new();
        for _ in 0..left.min(TURN) {
            begun.push(stage.begun().await);
        }
        for (request, signed, _) in begun {
            stage.provider.answers(signed.answer);
            stage.complete(&request).await;
        }
        left = left.saturating_sub(TURN);
    }
    Ok(())
}
