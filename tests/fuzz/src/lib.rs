//! What must hold for every input, however hostile: one property a file, each
//! `fn(data: &[u8])` that panics when it does not hold.
//!
//! Generators and oracles are apart: [`seeds`] makes real values by the code under test's own
//! writers, [`mutate`] damages them, and a [property](TARGETS) only judges. The same properties run
//! under `cargo test` for a moment each on mutated seeds, and for as long as one likes under
//! libFuzzer (`tests/fuzz/run`; see `docs/fuzzing.md`).
//!
//! Invariant: a property is a function of its bytes. It keeps nothing between calls, looks at no
//! clock, and writes only below a temporary folder of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a property says that it does not hold"
)]

pub mod mutate;
pub mod properties;
mod scratch;
pub mod seeds;

/// A property with the values that fuzzing starts from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the property, and of its libFuzzer binary.
    pub name: &'static str,
    /// Panics when it does not hold for these bytes.
    pub property: fn(&[u8]),
    /// Values of the kind that the property is about.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every property.
pub const TARGETS: &[Target] = &[
    Target {
        name: "recipe",
        property: properties::recipe,
        seeds: seeds::recipes,
    },
    Target {
        name: "lock",
        property: properties::lock,
        seeds: seeds::locks,
    },
    Target {
        name: "portable",
        property: properties::portable,
        seeds: seeds::portables,
    },
    Target {
        name: "elf",
        property: properties::elf,
        seeds: seeds::elves,
    },
    Target {
        name: "index",
        property: properties::index,
        seeds: seeds::tails,
    },
    Target {
        name: "stub",
        property: properties::stub,
        seeds: seeds::stubs,
    },
    Target {
        name: "module",
        property: properties::module,
        seeds: seeds::modules,
    },
    Target {
        name: "archive",
        property: properties::archive,
        seeds: seeds::archives,
    },
    Target {
        name: "image",
        property: properties::image,
        seeds: seeds::images,
    },
    Target {
        name: "exec",
        property: properties::exec,
        seeds: seeds::executables,
    },
    Target {
        name: "command_line",
        property: properties::command_line,
        seeds: seeds::command_lines,
    },
];
