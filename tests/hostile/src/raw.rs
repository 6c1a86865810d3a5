//! Plugins in WebAssembly text: a core module that fits the contract and answers with whatever bytes it likes, encoded as a
//! component the way the build does it.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the parts of a module that a test can replace are.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// What comes before the functions: imports, data, tables.
    pub head: &'static str,
    /// The memory.
    pub memory: &'static str,
    /// The body of `cabi_realloc (old size align new) -> i32`.
    pub realloc: &'static str,
    /// The body of `login.begin -> i32`, the place of its answer.
    pub begin: &'static str,
    /// The body of `configuration.describe -> i32`.
    pub describe: &'static str,
    /// What comes after the functions: a start function, others.
    pub tail: &'static str,
}

impl Default for Module {
    /// One that is loaded, and whose answers are empty.
    fn default() -> Self {
        Self {
            head: "",
            memory: "(memory (export \"memory\") 2)",
            realloc: "(global.get $next) (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))",
            begin: "(i32.const 0x10000)",
            describe: "(i32.const 0x10000)",
            tail: "",
        }
    }
}

impl Module {
    /// The core module.
    pub fn core(&self) -> Vec<u8> {
        let i32s = |count: usize| "i32 ".repeat(count);
        let other = |interface: &str, name: &str, parameters: usize| {
            format!(
                "(func (export \"defguard:openid/{interface}@0.2.0#{name}\") (param {}) (result i32) (i32.const 0x10000))\n",
                i32s(parameters)
            )
        };
        let text = format!(
            "(module\n{}\n{}\n(global $next (mut i32) (i32.const 0x800))\n\
             (func $realloc (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {})\n\
             (func $begin (export \"defguard:openid/login@0.2.0#begin\") (param {}) (result i32) {})\n\
             (func (export \"defguard:openid/configuration@0.2.0#describe\") (result i32) {})\n{}{}{}{}{}{}{}{}{}\n)",
            self.head,
            self.memory,
            self.realloc,
            i32s(8),
            self.begin,
            self.describe,
            other("login", "complete", 10),
            other("configuration", "validate", 2),
            other("configuration", "map-claims", 4),
            other("configuration", "probe", 2),
            other("directory", "test-connection", 2),
            other("directory", "next-page", 7),
            other("directory", "person", 5),
            other("directory", "present", 4),
            self.tail,
        );
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let mut core = self.core();
        let mut resolve = Resolve::default();
        let wit = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"));
        let (package, _) = resolve.push_dir(wit).expect("the contract");
        let world = resolve.select_world(&[package], Some("plugin")).expect("the world");
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)
            .expect("a module takes a section");
        ComponentEncoder::default()
            .validate(false)
            .module(&core)
            .and_then(ComponentEncoder::encode)
            .unwrap_or_else(|error| panic!("{error:#}"))
    }
}
