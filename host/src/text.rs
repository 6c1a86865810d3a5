//! Words that come from outside, on their way into a log, a terminal or a page: cut to a length, and without any character
//! that does something instead of being seen.

/// At most `limit` bytes of `text`; what is no visible character or space becomes a space. That are control characters (line
/// breaks, terminal escapes), other line and paragraph separators, and those that turn the direction of writing or are not
/// seen at all (Unicode UTS 55: they make a line read as another one).
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(|character| if is_seen(character) { character } else { ' ' })
        .collect()
}

/// As [`clean`], in place, and only if there is something to do.
pub(crate) fn tidy(text: &mut String, limit: usize) {
    // Most texts are of these alone, which is seen at a glance.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if text.len() > limit || (!is_plain && !text.chars().all(is_seen)) {
        *text = clean(text, limit);
    }
}

fn is_seen(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside() {
        let table = [
            ("as it is", "Käse 日本 – it's \"so\"", 512, "Käse 日本 – it's \"so\""),
            ("line breaks", "a\r\nb\u{85}c\u{2028}d", 512, "a  b c d"),
            ("terminal escapes", "\u{1b}[31m\u{9b}1m\u{7}", 512, " [31m 1m "),
            ("direction of writing", "a\u{202e}b\u{2066}c\u{200f}", 512, "a b c "),
            ("not seen", "a\u{200b}\u{feff}\u{e0041}b", 512, "a   b"),
            ("cut between characters", "ääää", 5, "ää"),
            ("nothing", "", 5, ""),
        ];
        for (name, text, limit, expected) in table {
            assert_eq!(clean(text, limit), expected, "{name}");
            let mut tidied = text.to_owned();
            tidy(&mut tidied, limit);
            assert_eq!(tidied, expected, "{name}");
        }
    }
}
