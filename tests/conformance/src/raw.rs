//! HTTP by hand: a connection that says exactly what a test wants it to, at the pace that it wants.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The longest that anything here waits: far beyond every limit that a test sets.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
pub struct Raw(TcpStream);

impl Raw {
    /// To a host of ours.
    pub async fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_start_matches("https://");
        Self(TcpStream::connect(address).await.expect("it listens"))
    }

    /// Sends; whether the other side still takes it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(PATIENCE, self.0.write_all(bytes.as_ref())).await.is_ok_and(|written| written.is_ok())
    }

    /// Sends a piece at a time, with a pause before each, until all is sent or the other side takes no more.
    pub async fn drip(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            tokio::time::sleep(pause).await;
            if !self.send([*byte]).await {
                return;
            }
        }
    }

    /// Says that nothing more comes.
    pub async fn finish(&mut self) {
        // If it is closed already, that is said.
        let _ = self.0.shutdown().await;
    }

    /// What comes until `end` is in it, or the other side ends the connection: then, whether it did.
    pub async fn read_until(&mut self, end: &str) -> (String, bool) {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if !end.is_empty() && String::from_utf8_lossy(&text).contains(end) {
                return (String::from_utf8_lossy(&text).into_owned(), false);
            }
            match timeout(PATIENCE, self.0.read(&mut buffer)).await {
                Ok(Ok(0) | Err(_)) => return (String::from_utf8_lossy(&text).into_owned(), true),
                Ok(Ok(count)) => text.extend_from_slice(&buffer[..count]),
                Err(_) => panic!("nothing for {PATIENCE:?} after: {}", String::from_utf8_lossy(&text)),
            }
        }
    }

    /// Everything until the other side ends the connection, which it must.
    pub async fn read_to_end(&mut self) -> String {
        self.read_until("").await.0
    }
}
