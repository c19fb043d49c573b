//! Shared libraries: modules that several programs of a megabinary use, each in its own memory
//! (`docs/side-modules.md`).
//!
//! `vkcc` makes them and has programs call them, the linker joins the two, the vkernel instantiates both. A library
//! lies at one place in the memory and in the table of every program that uses it, so its code is the same in all of
//! them, and so are the numbers by which programs call it.

use core::{ops::Range, str::Lines};

/// Custom section of a library: what it is, as a text that [`Description::read`] reads.
pub const SECTION: &str = "vkernel.library";

/// Custom section of a program: the libraries that it uses, a name and an identity in each line.
pub const USES: &str = "vkernel.libraries";

/// The first line of a description.
pub const FIRST_LINE: &str = "vkernel-library 1";

/// What an identity is the digest of begins with this.
pub const IDENTITY: &str = "vkernel library 1";

/// Where imports of a library are.
pub const ENV: &str = "env";

/// Import of a library: the program's memory.
pub const MEMORY: &str = "memory";

/// Import of a library, export of a program: the table of functions.
pub const TABLE: &str = "__indirect_function_table";

/// Import of a library, export of a program: where the stack ends.
pub const STACK_POINTER: &str = "__stack_pointer";

/// Where in a program's memory libraries lie: between its stack and its data.
pub const ADDRESSES: Range<u32> = 64 << 20..128 << 20;

/// The slots of a program's table that are libraries'. Its own functions have the ones before.
pub const SLOTS: Range<u32> = 32768..98304;

/// Libraries lie at multiples of this.
pub const ALIGNMENT: u32 = 65536;

/// What a library says of itself.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    /// Its name, `libz.so.1`.
    pub name: &'a str,
    /// What programs that call it rely on: `sha256:` and the digest of [`IDENTITY`], the name, where it is
    /// (four numbers: its memory's start and length, its first slot and how many), and each function that it offers
    /// with its type, a line each.
    pub identity: &'a str,
    /// Where its data are.
    pub memory: Range<u32>,
    /// Slots that are its own. Its functions have the first ones, in the order of its exports.
    pub slots: Range<u32>,
    needs: Lines<'a>,
}

impl<'a> Description<'a> {
    /// Reads one; `None` if it is none, or none that can be.
    pub fn read(text: &'a str) -> Option<Description<'a>> {
        if !text.ends_with('\n') {
            return None;
        }
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let name = lines.next()?.strip_prefix("name ")?;
        let identity = lines.next()?.strip_prefix("identity ")?;
        let memory = range(lines.next()?.strip_prefix("memory ")?)?;
        let slots = range(lines.next()?.strip_prefix("slots ")?)?;
        let fits = inside(&memory, &ADDRESSES) && inside(&slots, &SLOTS);
        let aligned = memory.start % ALIGNMENT == 0 && memory.end % ALIGNMENT == 0;
        if !fits || !aligned || !is_name(name) || !lines.clone().all(|line| need(line).is_some()) {
            return None;
        }
        Some(Description {
            name,
            identity,
            memory,
            slots,
            needs: lines,
        })
    }

    /// The libraries that it calls: names and identities.
    pub fn needs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.needs.clone().filter_map(need)
    }
}

/// The libraries of a program, as its section [`USES`] has them; `None` if that is not what it is.
pub fn uses(text: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let all = text.lines().all(|line| used(line).is_some());
    (all && text.ends_with('\n')).then(|| text.lines().filter_map(used))
}

/// Whether a library can be called so.
pub fn is_name(name: &str) -> bool {
    let fits = (1..=255).contains(&name.len());
    fits && !name.contains(|c: char| c.is_control() || c.is_whitespace() || c == '/')
}

fn need(line: &str) -> Option<(&str, &str)> {
    used(line.strip_prefix("needs ")?)
}

fn used(line: &str) -> Option<(&str, &str)> {
    line.split_once(' ').filter(|(name, _)| is_name(name))
}

/// A start and a length.
fn range(text: &str) -> Option<Range<u32>> {
    let (start, len) = text.split_once(' ')?;
    let (start, len): (u32, u32) = (start.parse().ok()?, len.parse().ok()?);
    Some(start..start.checked_add(len)?)
}

fn inside(range: &Range<u32>, all: &Range<u32>) -> bool {
    range.start < range.end && all.start <= range.start && range.end <= all.end
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "vkernel-library 1\nname libssl.so.3\nidentity sha256:0\nmemory 67108864 65536\n\
        slots 32768 100\nneeds libcrypto.so.3 sha256:1\n";

    #[test]
    fn descriptions() {
        let read = Description::read(TEXT).unwrap();
        assert_eq!((read.name, read.identity), ("libssl.so.3", "sha256:0"));
        assert_eq!(
            (read.memory, read.slots),
            (67108864..67174400, 32768..32868)
        );
        let text = Description::read(TEXT).unwrap();
        assert!(text.needs().eq([("libcrypto.so.3", "sha256:1")]));
    }

    #[test]
    fn what_is_none() {
        let check = |from: &str, to: &str| {
            // No allocation here: what is cut off has to do.
            let at = TEXT.find(from).unwrap();
            assert!(Description::read(&TEXT[..at]).is_none(), "{to}");
        };
        check("vkernel", "nothing");
        check("identity", "no identity");
        check("slots", "no slots");
        check("\nneeds", "no end");
        for text in [
            "vkernel-library 1\nname a b\nidentity x\nmemory 67108864 65536\nslots 32768 1\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 0 65536\nslots 32768 1\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 67108864 4294967295\nslots 32768 1\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 67108864 1\nslots 32768 1\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 67108864 65536\nslots 4 1\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 67108864 65536\nslots 32768 0\n",
            "vkernel-library 1\nname a\nidentity x\nmemory 67108864 65536\nslots 32768 1\nneeds a\n",
        ] {
            assert!(Description::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_a_program_uses() {
        assert!(uses("a 1\nb 2\n").unwrap().eq([("a", "1"), ("b", "2")]));
        assert!(uses("a 1").is_none());
        assert!(uses("a\n").is_none());
    }
}
