//! TLS of the host's own listener, as the binary has it: handshakes, a certificate that is renewed under way, one that can't be used.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::HostOptions;
use conformance::raw::Raw;
use conformance::service::{Service, all_of, run};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/tests/data");
const TABLE: &str = "[tls]\ncertificate_file = \"tls.crt\"\nprivate_key_file = \"tls.key\"\n";

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(DATA).join(name)).unwrap()
}

/// Puts a pair where the configuration says, as a tool that renews certificates does: each file at once.
fn install(service: &Service, certificate: &str, key: &str) {
    for (to, from) in [("tls.crt", certificate), ("tls.key", key)] {
        let aside = service.folder.path().join("new");
        std::fs::write(&aside, pem(from)).unwrap();
        std::fs::rename(aside, service.folder.path().join(to)).unwrap();
    }
}

async fn prepared(more: &str) -> Service {
    let service = Service::prepare(HostOptions { more: format!("{TABLE}{more}"), ..HostOptions::default() }).await;
    install(&service, "tls-1.crt.pem", "tls-1.key.pem");
    service
}

/// A handshake and a request: which certificate the host showed, and what it answered.
async fn ask(url: &str, versions: &[&'static SupportedProtocolVersion]) -> std::io::Result<(Vec<u8>, String)> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&pem("tls-ca.crt.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    stream.write_all(b"GET /openid/sign-in HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    // Whether the end is said as TLS says it is not what is looked at.
    let _ = stream.read_to_string(&mut answer).await;
    Ok((shown, answer))
}

fn der(name: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(&pem(name)).unwrap().to_vec()
}

async fn shows(service: &Service, name: &str, certificate: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while ask(&service.url, &[&version::TLS13]).await.unwrap().0 != der(certificate) {
        assert!(Instant::now() < deadline, "{name}: it isn't {certificate}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn hang_up(child: &tokio::process::Child) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", "HUP", &id]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_under_way() {
    let service = prepared("[limits]\nheader_timeout_s = 1\n").await;
    let mut child = service.spawn().await;
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let (shown, answer) = ask(&service.url, &versions).await.unwrap();
        assert_eq!(shown, der("tls-1.crt.pem"), "{versions:?}");
        assert!(answer.starts_with("HTTP/1.1 200"), "{versions:?}: {answer}");
    }
    // Who doesn't speak TLS, or says nothing.
    let mut plain = Raw::connect(&service.url).await;
    plain.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.read_to_end().await.contains("HTTP/1.1"), "no answer without TLS");
    assert_eq!(Raw::connect(&service.url).await.read_to_end().await, "", "a handshake that doesn't begin");
    // By itself, and at the signal; a pair that can't be used changes nothing.
    install(&service, "tls-2.crt.pem", "tls-2.key.pem");
    shows(&service, "by itself", "tls-2.crt.pem").await;
    install(&service, "tls-1.crt.pem", "tls-2.key.pem");
    hang_up(&child);
    shows(&service, "a key of another", "tls-2.crt.pem").await;
    install(&service, "tls-1.crt.pem", "tls-1.key.pem");
    hang_up(&child);
    shows(&service, "at the signal", "tls-1.crt.pem").await;
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    let (code, log) = all_of(&mut child).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("a new certificate is in use"), "{log}");
}

#[tokio::test]
async fn check_and_serve_say_what_is_wrong() {
    let table = [
        ("good", "tls-1.crt.pem", "tls-1.key.pem", Some(0), ""),
        ("over", "tls-expired.crt.pem", "tls-expired.key.pem", Some(1), "is over"),
        ("another's key", "tls-1.crt.pem", "tls-2.key.pem", Some(1), "isn't that of the first certificate"),
        ("no certificate", "tls-1.key.pem", "tls-1.key.pem", Some(1), "holds no PEM certificate"),
    ];
    for (name, certificate, key, expected, words) in table {
        let service = prepared("").await;
        install(&service, certificate, key);
        let (code, out, err) = run(&["check", "--config", &service.config()]).await;
        assert_eq!(code, expected, "{name}: {out} {err}");
        assert!(format!("{out}{err}").contains(words), "{name}: {out} {err}");
    }
    let service = prepared("").await;
    install(&service, "tls-1.crt.pem", "tls-2.key.pem");
    let (code, _, err) = run(&["serve", "--config", &service.config()]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("isn't that of the first certificate"), "{err}");
}
