//! Writes the seeds of all targets into `corpus/`, in place of what is there, and the dictionaries whose words are the
//! component's own options: `cargo run --example seeds`.

use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    for (target, _, seeds) in fuzz::TARGETS {
        let folder = folder("corpus").join(target);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let seeds = seeds();
        for (name, input) in &seeds {
            std::fs::write(folder.join(name), input)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    for (name, words) in
        [("configuration", fuzz::configuration::dictionary()), ("mapping", fuzz::mapping::dictionary())]
    {
        let words: Vec<String> = words.iter().map(|word| format!("\"{}\"", escape(word))).collect();
        let head = "# Written by examples/seeds.rs: the component's own options, and what is between them.\n";
        std::fs::write(folder("dictionaries").join(format!("{name}.dict")), format!("{head}{}\n", words.join("\n")))?;
    }
    Ok(())
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// libFuzzer's dictionaries: as C does.
fn escape(word: &str) -> String {
    word.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}
