//! PostgreSQL's `ILIKE`, by which Core looks an address up (facts D2): `_` stands for any character, `%` for any text.

/// The pattern ends in a lone backslash, which PostgreSQL refuses: "LIKE pattern must not end with escape character".
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EndsInEscape;

enum Piece {
    Text,
    One,
    Character(char),
}

/// Whether a text fits a pattern, without regard to case.
pub(crate) fn ilike(text: &str, pattern: &str) -> Result<bool, EndsInEscape> {
    let mut pieces = Vec::new();
    let lower = pattern.to_lowercase();
    let mut characters = lower.chars();
    while let Some(character) = characters.next() {
        pieces.push(match character {
            '%' => Piece::Text,
            '_' => Piece::One,
            '\\' => Piece::Character(characters.next().ok_or(EndsInEscape)?),
            other => Piece::Character(other),
        });
    }
    Ok(fits(&text.to_lowercase().chars().collect::<Vec<_>>(), &pieces))
}

/// One row of the table of sub-results a piece: no pattern takes more than text times pattern.
fn fits(text: &[char], pieces: &[Piece]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for piece in pieces {
        let mut next = vec![false; reached.len()];
        let mut any_before = false;
        for (position, slot) in next.iter_mut().enumerate() {
            let before = position.checked_sub(1);
            let stepped = before.and_then(|before| Some((*reached.get(before)?, *text.get(before)?)));
            any_before |= reached.get(position).copied().unwrap_or_default();
            *slot = match piece {
                Piece::Text => any_before,
                Piece::One => stepped.is_some_and(|(reached, _)| reached),
                Piece::Character(wanted) => stepped.is_some_and(|(reached, found)| reached && found == *wanted),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_postgresql() {
        let table = [
            ("the same", "ada@a.example", "ada@a.example", true),
            ("case", "Ada@A.example", "aDA@a.EXAMPLE", true),
            ("case beyond ASCII", "ÄDA@a.example", "äda@a.example", true),
            ("one character", "john.doe@a.example", "john_doe@a.example", true),
            ("not none", "johndoe@a.example", "john_doe@a.example", false),
            ("only the given one is a pattern", "john_doe@a.example", "john.doe@a.example", false),
            ("any text", "ada@a.example", "%", true),
            ("any text at the end", "ada@a.example", "ada%", true),
            ("any text in the middle", "ada@a.example", "a%a.example", true),
            ("text that isn't there", "ada@a.example", "%b%", false),
            ("escaped", "a_b@x", r"a\_b@x", true),
            ("escaped, another", "acb@x", r"a\_b@x", false),
            ("longer", "ada@a.example", "ada@a.example.org", false),
            ("shorter", "ada@a.example", "ada@a.exampl", false),
            ("empty", "ada@a.example", "", false),
        ];
        for (name, text, pattern, expected) in table {
            assert_eq!(ilike(text, pattern), Ok(expected), "{name}");
        }
        assert_eq!(ilike("ada", r"ada\"), Err(EndsInEscape));
        let hostile = "%a".repeat(2000);
        assert_eq!(ilike(&"a".repeat(1999), &hostile), Ok(false), "in time");
    }
}
