//! Mutation of inputs by structure: of an input's lines one that is JSON is changed as a tree, so that what comes out still
//! parses and the fuzzer's time goes to what lies behind the parser. Half of the time the fuzzer's own mutation of bytes
//! stays in place.

use serde_json::{Map, Value};

/// Values that have been trouble somewhere.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "1.5",
    "1e400",
    "18446744073709551615",
    "9007199254740993",
    "\"\"",
    "\" \"",
    "\"a@b\"",
    "\"\\u0000\"",
    "\"\\u200b\"",
    "\"\\ud83d\\ude00\"",
    "[]",
    "{}",
    "[[]]",
    "[\"a\",\"a\"]",
];
/// How many trees an input's line may have before its bytes are mutated only.
const MAX_NODES: usize = 4096;

/// Random numbers from the fuzzer's seed: the same input is mutated alike in each run (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// From a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed))
    }

    /// A number below `limit`, which isn't 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// How much longer the inside of a text may get in one step, in bytes.
const MAX_GROWTH: usize = 64;

/// A fuzzer's mutation of bytes: buffer, length, greatest length; gives the new length.
pub type MutateBytes = fn(&mut [u8], usize, usize) -> usize;

/// One mutation for libFuzzer, in its buffer: by structure or by bytes.
pub fn mutate_in_place(data: &mut [u8], size: usize, max_size: usize, seed: u32, bytes: MutateBytes) -> usize {
    let mut dice = Dice::new(seed);
    let mut inside = |text: &str| {
        let mut buffer = text.as_bytes().to_vec();
        buffer.resize(text.len() + MAX_GROWTH, 0);
        let length = bytes(&mut buffer, text.len(), text.len() + MAX_GROWTH);
        buffer.truncate(length);
        String::from_utf8_lossy(&buffer).into_owned()
    };
    let by_structure = dice.below(2) == 0;
    let changed = data.get(..size).filter(|_| by_structure).and_then(|input| mutate(input, &mut dice, &mut inside));
    match changed {
        Some(changed) if changed.len() <= max_size.min(data.len()) => {
            data.split_at_mut(changed.len()).0.copy_from_slice(&changed);
            changed.len()
        }
        _ => bytes(data, size, max_size),
    }
}

/// The input with one of its JSON lines changed; `None`: there is none. `bytes` mutates the inside of a text.
pub fn mutate(input: &[u8], dice: &mut Dice, bytes: &mut dyn FnMut(&str) -> String) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let candidates: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| line.first() == Some(&b'{')).map(|(at, _)| at).collect();
    let chosen = *candidates.get(dice.below(candidates.len()))?;
    let mut tree: Value = serde_json::from_slice(lines.get(chosen)?).ok()?;
    if count(&tree) > MAX_NODES {
        return None;
    }
    for _ in 0..=dice.below(3) {
        change(&mut tree, dice, bytes);
    }
    let changed = tree.to_string().into_bytes();
    let lines: Vec<&[u8]> =
        lines.into_iter().enumerate().map(|(at, line)| if at == chosen { changed.as_slice() } else { line }).collect();
    Some(lines.join(&b'\n'))
}

/// Every value of a tree, itself included.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().fold(1, |sum, item| sum + count(item)),
        Value::Object(members) => members.values().fold(1, |sum, member| sum + count(member)),
        _ => 1,
    }
}

/// The value at a place, counted in order.
fn at<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| at(item, place)),
        Value::Object(members) => members.values_mut().find_map(|member| at(member, place)),
        _ => None,
    }
}

fn change(tree: &mut Value, dice: &mut Dice, bytes: &mut dyn FnMut(&str) -> String) {
    let (nodes, names) = (count(tree), names(tree));
    let mut other = dice.below(nodes);
    let other = at(tree, &mut other).cloned().unwrap_or_default();
    // Not the root: an input that is no object at all is soon known.
    let mut place = 1 + dice.below(nodes.saturating_sub(1));
    let Some(value) = at(tree, &mut place) else { return };
    match (dice.below(8), value) {
        (0..=2, Value::String(text)) => *text = bytes(text),
        (0..=2, Value::Number(number)) => {
            let changed =
                number.as_i64().map(|whole| whole.wrapping_add(i64::try_from(dice.below(1200)).unwrap() - 600));
            *number = changed.unwrap_or_default().into();
        }
        (0 | 1, Value::Object(members)) => change_members(members, &names, other, dice),
        (0 | 1, Value::Array(items)) => match dice.below(3) {
            0 => items.push(other),
            1 if !items.is_empty() => drop(items.remove(dice.below(items.len()))),
            _ => items.reverse(),
        },
        (3, value) => *value = serde_json::from_str(VALUES.get(dice.below(VALUES.len())).unwrap()).unwrap_or_default(),
        (4, value) => *value = Value::Array(vec![value.take(), other]),
        (5, value) => *value = value.as_array().and_then(|items| items.first().cloned()).unwrap_or(other),
        (_, value) => *value = other,
    }
}

/// A member more, less, or under another's name.
fn change_members(members: &mut Map<String, Value>, names: &[String], value: Value, dice: &mut Dice) {
    let some_name = names.get(dice.below(names.len())).cloned().unwrap_or_default();
    let own_name = members.keys().nth(dice.below(members.len())).cloned().unwrap_or_default();
    match dice.below(3) {
        0 => drop(members.insert(some_name, value)),
        1 => drop(members.remove(&own_name)),
        _ => {
            let own = members.remove(&own_name).unwrap_or_default();
            members.insert(some_name, own);
        }
    }
}

/// Every member's name in a tree.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| std::iter::once(name.clone()).chain(names(value))).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_still_json_in_the_same_line() {
        let input = b"oidc 200\n{\"a\":[1,\"x\",{\"b\":null}],\"c\":{\"d\":\"e\"}}\nend";
        let mut different = 0;
        for seed in 0..2000 {
            let changed = mutate(input, &mut Dice::new(seed), &mut |text| format!("{text}!")).unwrap();
            let lines: Vec<&[u8]> = changed.split(|byte| *byte == b'\n').collect();
            assert_eq!((lines.len(), lines[0], lines[2]), (3, b"oidc 200".as_slice(), b"end".as_slice()), "{seed}");
            serde_json::from_slice::<Value>(lines[1]).unwrap();
            different += usize::from(changed != input);
        }
        assert!(different > 1800, "{different} of 2000 are changed");
    }

    #[test]
    fn an_input_without_json_is_left_to_the_fuzzer() {
        assert_eq!(mutate(b"begin\ncome code=x", &mut Dice::new(1), &mut str::to_owned), None);
    }
}
