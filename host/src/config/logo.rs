//! `logo_file` of a provider: a small picture for its button, read at the start.

use std::path::Path;

use axum::body::Bytes;

/// More than any logo needs, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// A picture, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// For `Content-Type`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

impl Logo {
    /// The media type of SVG. Pages show it as a picture: no script in it runs.
    pub const SVG: &str = "image/svg+xml";

    /// Reads a file; what it is, its content says.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        if bytes.len() > MAX_BYTES {
            return Err(format!("{} has {} bytes: a logo has at most {MAX_BYTES}", path.display(), bytes.len()));
        }
        let media_type = media_type(&bytes).ok_or_else(|| format!("{} is neither SVG nor PNG", path.display()))?;
        Ok(Self { media_type, bytes: bytes.into() })
    }
}

fn media_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    let text = std::str::from_utf8(bytes).ok()?.trim_start_matches('\u{feff}').trim_start();
    (text.starts_with('<') && text.contains("<svg")).then_some(Logo::SVG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_its_content_says() {
        let table: [(&str, &[u8], Option<&str>); 6] = [
            ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", Some(Logo::SVG)),
            ("svg with a declaration", b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", Some(Logo::SVG)),
            ("png", b"\x89PNG\r\n\x1a\nrest", Some("image/png")),
            ("a web page", b"<!doctype html><p>", None),
            ("jpeg", b"\xff\xd8\xff\xe0", None),
            ("nothing", b"", None),
        ];
        for (name, bytes, expected) in table {
            assert_eq!(media_type(bytes), expected, "{name}");
        }
    }
}
