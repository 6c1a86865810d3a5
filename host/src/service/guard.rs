//! A connection's stream with a limit on how long its client may take nothing of what we answer, and with what belongs to the
//! connection for as long as it lives, also after a change of its protocol.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::places::Place;
use crate::metrics::Present;

/// Whether what is answered on a connection is the proxy's behind us: a download may pause for [`PAUSE`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Passing(Arc<AtomicBool>);

impl Passing {
    /// From now on, until [`Passing::ours`].
    pub(crate) fn theirs(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The next request is looked at.
    pub(crate) fn ours(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_theirs(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long the client of a download, or of a tunnel, may take nothing of it: then it is gone, and its place with it.
pub(super) const PAUSE: Duration = Duration::from_mins(5);

/// What a connection gives back when it ends.
pub(super) struct Held {
    pub(super) _place: Place,
    pub(super) _present: Present,
}

/// The stream.
pub(super) struct Guarded<S> {
    stream: S,
    write_timeout: Duration,
    pause: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    passing: Passing,
    _held: Held,
}

impl<S> Guarded<S> {
    pub(super) fn new(stream: S, write_timeout: Duration, passing: Passing, held: Held) -> Self {
        Self { stream, write_timeout, pause: PAUSE, stalled: None, passing, _held: held }
    }

    /// What a write came to; one that has waited for too long fails.
    fn limited<T>(&mut self, outcome: Poll<Result<T>>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let write_timeout = if self.passing.is_theirs() { self.pause } else { self.write_timeout };
        let stalled =
            self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + write_timeout)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client takes nothing of the answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limited(outcome, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        self.limited(outcome, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limited(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.limited(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;
    use crate::metrics::ServiceMetrics;
    use crate::service::places::Places;

    async fn guarded(write_timeout: Duration, passing: Passing) -> (Guarded<DuplexStream>, DuplexStream) {
        let places = Places::new(1, 1);
        let place = places.free().await.taken_by(None).unwrap();
        let held = Held { _place: place, _present: ServiceMetrics::default().connection() };
        let (ours, theirs) = tokio::io::duplex(16);
        (Guarded::new(ours, write_timeout, passing, held), theirs)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_left() {
        let limit = Duration::from_millis(100);
        let (mut stream, _client) = guarded(limit, Passing::default()).await;
        let before = Instant::now();
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(before.elapsed() >= limit, "{:?}", before.elapsed());
    }

    #[tokio::test]
    async fn a_slow_one_is_not() {
        let limit = Duration::from_secs(2);
        let (mut stream, mut client) = guarded(limit, Passing::default()).await;
        let before = Instant::now();
        let reading = async {
            let mut byte = [0];
            for _ in 0..64 {
                tokio::time::sleep(limit / 30).await;
                client.read_exact(&mut byte).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 64]), reading);
        written.unwrap();
        assert!(before.elapsed() > limit, "all together took longer than the limit: {:?}", before.elapsed());
    }

    #[tokio::test]
    async fn what_passes_may_pause() {
        let passing = Passing::default();
        passing.theirs();
        let limit = Duration::from_millis(20);
        let (mut stream, mut client) = guarded(limit, passing.clone()).await;
        let reading = async {
            tokio::time::sleep(limit * 20).await;
            client.read_exact(&mut [0; 64]).await.unwrap();
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 64]), reading);
        written.unwrap();
        // But not for ever.
        let (mut stream, _client) = guarded(limit, passing).await;
        stream.pause = limit * 2;
        assert_eq!(stream.write_all(&[0; 64]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
