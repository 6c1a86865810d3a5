//! `[storage]`: which backend, and how what is in it is protected.

use std::path::PathBuf;

use toml::Table;

use super::file::{Reader, in_a_folder};
use super::reference::names;
use super::{Problem, Provider, Secret};
use crate::storage::{Protection, SealingKey, StorageConfig, StorageUrl};

const PREFIX: &str = "storage";
const KEY_HINT: &str =
    "key_file = \"PATH\" or key_env = \"NAME\": 32 bytes in base64, as `openssl rand -base64 32` makes them";

pub(super) fn read(reader: &mut Reader, table: &Table) -> Option<StorageConfig> {
    let storage = reader.table(table, PREFIX, &names(PREFIX));
    let url = url(reader, &storage);
    let password = reader.text(&storage, PREFIX, "password_file").map(|file| password(reader, &file));
    let key = key(reader, &storage, "key");
    let previous_key = self::key(reader, &storage, "previous_key");
    let folder = reader.text(&storage, PREFIX, "folder").map(|folder| reader.resolve(&folder));
    if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
        let message = format!("{} is no folder", folder.display());
        reader.problem("storage.folder", message, "a folder of this host's own, that its user may write to");
    }
    let protection = Protection {
        key: key?,
        previous_key: previous_key?,
        accept_unencrypted: reader.flag(&storage, PREFIX, "accept_unencrypted"),
    };
    if protection.key.is_none() {
        for name in ["previous_key_file", "previous_key_env", "accept_unencrypted"] {
            if storage.contains_key(name) {
                reader.problem(format!("{PREFIX}.{name}"), "it means nothing without a key", KEY_HINT);
            }
        }
    }
    let url = url?;
    shared(reader, &storage, &url, &protection);
    // There was one, and it can't be used.
    if matches!(password, Some(None)) {
        return None;
    }
    Some(StorageConfig { url, password: password.flatten(), protection, folder })
}

fn url(reader: &mut Reader, storage: &Table) -> Option<StorageUrl> {
    let text =
        if storage.contains_key("url") { reader.text(storage, PREFIX, "url")? } else { "redb:state.redb".to_owned() };
    match text.parse() {
        Ok(StorageUrl::Redb(path)) => {
            let path = reader.folder.join(path);
            in_a_folder(reader, "storage.url", &path);
            Some(StorageUrl::Redb(path))
        }
        Ok(url) => Some(url),
        Err(message) => {
            reader.problem("storage.url", message, "memory:, redb:PATH, redis://HOST:PORT/DB or rediss://HOST:PORT/DB");
            None
        }
    }
}

/// What is unwise of a storage that others can reach, and what means nothing of one that they can't.
fn shared(reader: &mut Reader, storage: &Table, url: &StorageUrl, protection: &Protection) {
    let StorageUrl::Redis(redis) = url else {
        for name in ["password_file", "folder"].into_iter().filter(|name| storage.contains_key(*name)) {
            reader.problem(format!("{PREFIX}.{name}"), "it means nothing without redis", "leave it out");
        }
        return;
    };
    let mut warn = |path: &str, message: &str, hint: &str| {
        reader.problems.push(Problem { is_warning: true, ..Problem::error(path, message, hint) });
    };
    if protection.key.is_none() {
        let message = "what is stored in Redis isn't encrypted: sign-ins under way, and who is linked to whom";
        warn("storage.key_file", message, KEY_HINT);
    }
    if !redis.is_private() {
        warn("storage.url", "what travels to this Redis can be read and changed on the way", "rediss://…, with TLS");
    }
    if redis.has_password() {
        warn("storage.url", "the password stands in this file", "password_file = \"PATH\"");
    }
}

/// Each host reads the directory for itself, into a file of its own.
pub(super) fn mirrors_have_their_folder(storage: &StorageConfig, providers: &[Provider]) -> Option<Problem> {
    let needs_one = matches!(storage.url, StorageUrl::Redis(_)) && storage.folder.is_none();
    let has_one_to_keep = providers.iter().any(|provider| provider.directory.is_some());
    let message = "missing: the mirror of a directory is a file, and storage.url is none";
    let hint = "folder = \"/var/lib/defguard-openid\": a folder of this host's own";
    (needs_one && has_one_to_keep).then(|| Problem::error("storage.folder", message, hint))
}

fn password(reader: &mut Reader, file: &str) -> Option<Secret> {
    let path = reader.resolve(file);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{} can't be read: {error}", path.display()));
    match text.map(|text| Secret::new(&text)) {
        Ok(password) if !password.is_empty() => Some(password),
        Ok(_) => {
            reader.problem("storage.password_file", format!("{} is empty", path.display()), "one line, the password");
            None
        }
        Err(message) => {
            reader.problem("storage.password_file", message, "a file with one line, readable by this host's user");
            None
        }
    }
}

/// `<name>_file` or `<name>_env`; `None`: one is there, and can't be used.
#[expect(clippy::option_option, reason = "wrong, none, or one")]
fn key(reader: &mut Reader, storage: &Table, name: &str) -> Option<Option<SealingKey>> {
    let (file, variable) = (format!("{name}_file"), format!("{name}_env"));
    let (path, text) = match (storage.contains_key(&file), storage.contains_key(&variable)) {
        (false, false) => return Some(None),
        (true, true) => {
            reader.problem(format!("{PREFIX}.{file}"), format!("{variable} is there as well"), "one of the two");
            return None;
        }
        (true, false) => {
            let place: PathBuf = reader.text(storage, PREFIX, &file).map(|text| reader.resolve(&text))?;
            let text = std::fs::read_to_string(&place);
            (file, text.map_err(|error| format!("{} can't be read: {error}", place.display())))
        }
        (false, true) => {
            let named = reader.text(storage, PREFIX, &variable)?;
            let text = std::env::var(&named);
            (variable, text.map_err(|_| format!("the environment has no variable {named}")))
        }
    };
    let parsed = text.and_then(|text| SealingKey::parse(Secret::new(&text).expose()));
    parsed.map_err(|message| reader.problem(format!("{PREFIX}.{path}"), message, KEY_HINT)).ok().map(Some)
}
