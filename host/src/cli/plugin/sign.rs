//! `plugin sign`: a detached signature in the format of minisign(1), whose trusted comment says which plugin it is, of which version,
//! and when it was signed. What can't be asked for its name isn't signed.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use zeroize::Zeroizing;

use super::Failure;
use crate::capability::{Clock as _, SystemClock};
use crate::sandbox::candidate::signature_path;
use crate::sandbox::signature::trusted_comment;
use crate::sandbox::{Candidate, Limits, Plugin, Runtime, Trust, TrustedKey};

#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    /// The component; the signature goes into FILE.minisig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The secret key, as minisign has it
    #[arg(long, value_name = "KEY", default_value = "minisign.key")]
    key: PathBuf,
    /// Make the key first, and KEY.pub beside it
    #[arg(long)]
    new_key: bool,
    /// The key's password is the first line of this file; without it you are asked
    #[arg(long, value_name = "FILE", conflicts_with = "no_password")]
    password_file: Option<PathBuf>,
    /// The key has no password: for machines that guard the file otherwise
    #[arg(long)]
    no_password: bool,
}

pub(in crate::cli) async fn sign(arguments: &Sign) -> Result<ExitCode, Failure> {
    can_be_asked(arguments)?;
    let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 1, ..Limits::default() })?);
    let candidate = Candidate::read(&arguments.file, runtime.limits().plugin_bytes).await?;
    let plugin = Plugin::load(&runtime, &arguments.file).await?;
    if plugin.sha256() != candidate.sha256 {
        return Err(format!("{} changed while it was read", arguments.file.display()).into());
    }
    let secret = secret_key(arguments)?;
    let public = PublicKey::from_secret_key(&secret)?;
    let now_unix_s = SystemClock.now_unix_ms() / 1000;
    let comment = trusted_comment(plugin.name(), plugin.version(), &candidate.bytes, now_unix_s);
    let untrusted = format!("signature of {} {}", plugin.name(), plugin.version());
    let bytes: &[u8] = &candidate.bytes;
    let signature = minisign::sign(Some(&public), &secret, bytes, Some(&comment), Some(&untrusted))?.into_string();
    let key = public.to_base64();
    // What is written is what a service will take.
    let trust = Trust { keys: vec![TrustedKey::parse(&key)?], unsigned_allowed: false };
    trust.check(&candidate.file, &candidate.bytes, Some(&signature))?;
    let target = signature_path(&arguments.file);
    let partial = signature_path(&target);
    std::fs::write(&partial, signature).and_then(|()| std::fs::rename(&partial, &target))?;
    println!("{}: {comment}", target.display());
    println!("[plugins]\ntrusted_keys = [\"{key}\"]");
    Ok(ExitCode::SUCCESS)
}

/// The library asks at the terminal, and nowhere else.
fn can_be_asked(arguments: &Sign) -> Result<(), String> {
    let is_asked = arguments.password_file.is_none() && !arguments.no_password;
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty");
    match terminal {
        Err(error) if is_asked => Err(format!(
            "there is no terminal to ask for the key's password ({error})\n    --password-file FILE, or --no-password for a key that has none"
        )),
        _ => Ok(()),
    }
}

fn secret_key(arguments: &Sign) -> Result<SecretKey, Failure> {
    let path = &arguments.key;
    let password = match &arguments.password_file {
        Some(file) => Some(password(file)?),
        None => None,
    };
    // The library wants it as its own.
    let asked = || password.as_ref().map(|password| password.to_string());
    if arguments.new_key {
        let pair = if arguments.no_password {
            KeyPair::generate_unencrypted_keypair()?
        } else {
            // The one in memory stays as it is: only what is written is encrypted.
            KeyPair::generate_encrypted_keypair(asked())?
        };
        let boxed = pair.sk.to_box(Some("defguard-openid plugins: secret key"))?.into_string();
        write_new(path, 0o600, &boxed)?;
        write_new(&public_path(path), 0o644, &pair.pk.to_box()?.into_string())?;
        eprintln!(
            "new key: {} (keep it), {} (give it to those who trust you)",
            path.display(),
            public_path(path).display()
        );
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text =
        text.map_err(|error| format!("the key {} can't be read: {error}; --new-key makes one", path.display()))?;
    let boxed = SecretKeyBox::from_string(&text)?;
    let read = if arguments.no_password { boxed.into_unencrypted_secret_key() } else { boxed.into_secret_key(asked()) };
    read.map_err(|error| format!("the key {} can't be used: {error}", path.display()).into())
}

fn public_path(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

fn password(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("the password file {} can't be read: {error}", path.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(format!("the password file {} is empty", path.display())),
    }
}

/// Never over a key that is there.
fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), String> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{} can't be made: {error}", path.display()))
}
