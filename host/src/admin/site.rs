//! The files of the playground page, read once, with the running configuration in the page: its providers as the component
//! gets them, so without credentials, and without where those are.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use toml::{Table, Value};

use crate::config::Config;

/// The files of a page, and what they are.
const FILES: [(&str, &str); 8] = [
    ("index.html", "text/html; charset=utf-8"),
    ("style.css", "text/css; charset=utf-8"),
    ("page.mjs", "text/javascript; charset=utf-8"),
    ("examples.mjs", "text/javascript; charset=utf-8"),
    ("worker.mjs", "text/javascript; charset=utf-8"),
    ("evaluator.mjs", "text/javascript; charset=utf-8"),
    ("openid.mjs", "text/javascript; charset=utf-8"),
    ("module.mjs", "text/javascript; charset=utf-8"),
];
/// The largest file, in bytes: the module is some 1.2 MB.
const MAX_BYTES: u64 = 16 << 20;
/// Where the running configuration goes, as `plugin/playground/page/index.html` has it.
const MARK: &str = r#"<script type="application/json" id="running">""</script>"#;
/// Before the running configuration.
const NOTE: &str = "# The running configuration, without comments and without what only the host reads: the credential,\n\
                    # logo_file, allowed_origins and approved_link. Keep those in your file.\n";

/// Why there is no page to serve.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A file can't be read.
    #[error(
        "the playground's {path} can't be read: {reason} (the configuration's `admin.playground`; `./build.sh playground` makes it)"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The page isn't of this host's version.
    #[error("the playground's {path} has no place for the running configuration: it isn't of this version")]
    Mark {
        /// Which.
        path: PathBuf,
    },
    /// The configuration can't be written as TOML.
    #[error("the running configuration can't be shown on the playground: {0}")]
    Configuration(#[from] toml::ser::Error),
    /// The machine gives no randomness.
    #[error("no randomness for the playground's password check")]
    Random,
}

/// The page, ready to be served.
#[derive(Debug)]
pub struct Site {
    files: BTreeMap<&'static str, (&'static str, Bytes)>,
}

impl Site {
    /// Reads the page from a folder, for a configuration.
    pub fn load(folder: &Path, config: &Config) -> Result<Self, SiteError> {
        let mut files = BTreeMap::new();
        for (name, media_type) in FILES {
            let path = folder.join(name);
            let text = read(&path).map_err(|reason| SiteError::File { path: path.clone(), reason })?;
            let text = if name == "index.html" {
                if !text.contains(MARK) {
                    return Err(SiteError::Mark { path });
                }
                text.replacen(MARK, &MARK.replace("\"\"", &in_script(&running(config)?)), 1)
            } else {
                text
            };
            files.insert(name, (media_type, Bytes::from(text)));
        }
        Ok(Self { files })
    }

    /// A file's media type and bytes.
    pub(super) fn file(&self, name: &str) -> Option<(&'static str, Bytes)> {
        self.files.get(name).cloned()
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES { Err(format!("more than {MAX_BYTES} bytes")) } else { Ok(text) }
}

/// The providers as TOML.
fn running(config: &Config) -> Result<String, toml::ser::Error> {
    let providers = config.providers.iter().map(|provider| Value::Table(provider.component_table.clone())).collect();
    let mut document = Table::from_iter([("provider".to_owned(), Value::Array(providers))]);
    if config.loopback_http {
        let development = Table::from_iter([("loopback_http".to_owned(), Value::Boolean(true))]);
        document.insert("development".to_owned(), Value::Table(development));
    }
    Ok(format!("{NOTE}{}", toml::to_string(&document)?))
}

/// A text as JSON that stays inside a `<script>` whatever it says: nothing in it can end the element or begin a comment.
fn in_script(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
