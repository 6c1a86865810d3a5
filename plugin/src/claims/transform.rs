//! Small changes to what a source gave, one after the other, before a field's own rules. What one leaves is never longer
//! than [`MAX_TEXT_BYTES`]; where nothing is left the next source is tried.

/// The longest text that a transform takes or leaves, in bytes.
pub const MAX_TEXT_BYTES: usize = 4 << 10;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transform {
    /// All letters small.
    Lowercase,
    /// All letters capital.
    Uppercase,
    /// What stands before the first of these; all of it, if there is none.
    Before(String),
    /// What stands after the first of these; all of it, if there is none.
    After(String),
    /// Without this in front.
    RemovePrefix(String),
    /// Without this at the end.
    RemoveSuffix(String),
    /// Each of the first becomes the second.
    Replace(String, String),
}

impl Transform {
    /// As the configuration says it; else what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let sought = |found: &str| match found {
            "" => Err(format!("{text:?} looks for an empty text")),
            found => Ok(found.to_owned()),
        };
        match (name, argument) {
            ("lowercase", None) => Ok(Self::Lowercase),
            ("uppercase", None) => Ok(Self::Uppercase),
            ("before", Some(mark)) => Ok(Self::Before(sought(mark)?)),
            ("after", Some(mark)) => Ok(Self::After(sought(mark)?)),
            ("remove_prefix", Some(prefix)) => Ok(Self::RemovePrefix(sought(prefix)?)),
            ("remove_suffix", Some(suffix)) => Ok(Self::RemoveSuffix(sought(suffix)?)),
            ("replace", Some(argument)) => {
                let (from, to) = argument.split_once('=').ok_or_else(|| format!("{text:?} has no ="))?;
                Ok(Self::Replace(sought(from)?, to.to_owned()))
            }
            ("lowercase" | "uppercase", Some(_)) => Err(format!("{text:?}: {name} takes no text")),
            _ => Err(format!(
                "{text:?} is none of lowercase, uppercase, before:TEXT, after:TEXT, remove_prefix:TEXT, \
                 remove_suffix:TEXT, replace:TEXT=TEXT"
            )),
        }
    }

    /// What it leaves, without white space around it; `None`: nothing, or more than [`MAX_TEXT_BYTES`].
    pub fn apply(&self, text: &str) -> Option<String> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let changed = match self {
            Self::Lowercase => text.to_lowercase(),
            Self::Uppercase => text.to_uppercase(),
            Self::Before(mark) => text.split_once(mark.as_str()).map_or(text, |(before, _)| before).to_owned(),
            Self::After(mark) => text.split_once(mark.as_str()).map_or(text, |(_, after)| after).to_owned(),
            Self::RemovePrefix(prefix) => text.strip_prefix(prefix.as_str()).unwrap_or(text).to_owned(),
            Self::RemoveSuffix(suffix) => text.strip_suffix(suffix.as_str()).unwrap_or(text).to_owned(),
            Self::Replace(from, to) => text.replace(from.as_str(), to),
        };
        let trimmed = changed.trim();
        (!trimmed.is_empty() && trimmed.len() <= MAX_TEXT_BYTES).then(|| trimmed.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transform() {
        let table: &[(&str, &[&str], &str, Option<&str>)] = &[
            ("none", &[], "Ada", Some("Ada")),
            ("small letters", &["lowercase"], "ADA Żółw", Some("ada żółw")),
            ("capital letters", &["uppercase"], "ada ß", Some("ADA SS")),
            ("before the first", &["before:@"], "ada@x@y", Some("ada")),
            ("before what isn't there", &["before:@"], "ada", Some("ada")),
            ("before what it begins with", &["before:@"], "@x", None),
            ("after the first", &["after:\\"], "ACME\\ada\\x", Some("ada\\x")),
            ("after what isn't there", &["after:\\"], "ada", Some("ada")),
            ("after what it ends with", &["after:@"], "ada@", None),
            ("a prefix", &["remove_prefix:ext-"], "ext-ada", Some("ada")),
            ("a prefix once", &["remove_prefix:x"], "xxa", Some("xa")),
            ("no such prefix", &["remove_prefix:ext-"], "ada", Some("ada")),
            ("nothing but a prefix", &["remove_prefix:ada"], "ada", None),
            ("a suffix", &["remove_suffix:.adm"], "ada.adm", Some("ada")),
            ("no such suffix", &["remove_suffix:.adm"], "ada.ad", Some("ada.ad")),
            ("each is replaced", &["replace:.=_"], "a.b.c", Some("a_b_c")),
            ("replaced by nothing", &["replace:.="], "a.b", Some("ab")),
            ("only the first = separates", &["replace:a=b=c"], "a", Some("b=c")),
            ("nothing but what is taken away", &["replace:a="], "aaa", None),
            ("one after the other", &["before:@", "lowercase", "replace:.=-"], "Ada.L@X", Some("ada-l")),
            ("white space that comes to stand outside", &["before:("], "Ada (extern)", Some("Ada")),
            ("nothing but white space", &["after:@"], "ada@ ", None),
            ("a colon in the text", &["after:a:b"], "a:bc", Some("c")),
        ];
        for (name, transforms, text, expected) in table {
            let transforms: Vec<Transform> = transforms.iter().map(|text| Transform::parse(text).unwrap()).collect();
            let left = transforms.iter().try_fold((*text).to_owned(), |text, transform| transform.apply(&text));
            assert_eq!(left.as_deref(), *expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_transform() {
        let table = [
            "",
            "lower",
            "lowercase:x",
            "uppercase:",
            "before",
            "before:",
            "after:",
            "remove_prefix:",
            "replace:a",
            "replace:=b",
            "Lowercase",
        ];
        for text in table {
            assert!(Transform::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn texts_stay_short() {
        let grow = Transform::Replace("a".into(), "a".repeat(255));
        assert_eq!(grow.apply(&"a".repeat(16)).map(|text| text.len()), Some(4080));
        assert_eq!(grow.apply(&"a".repeat(17)), None, "more than 4 KiB come out");
        assert_eq!(Transform::Lowercase.apply(&"a".repeat(4097)), None, "more than 4 KiB go in");
    }
}
