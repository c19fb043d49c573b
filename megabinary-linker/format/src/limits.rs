//! The limits of a policy: one table that recipes, the index, `VKERNEL_POLICY`, messages, audit
//! events and documentation read.
//!
//! A new limit is a variant, a row of [`TABLE`], a field of a recipe's `[policy]`, and the place in
//! the vkernel that holds to it.

/// An amount that a policy can limit. The number is its place in the index's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Limit {
    /// Linear memory.
    Memory,
    /// Descriptors open at once.
    OpenFiles,
    /// Time since the start.
    WallTime,
    /// Time that processors have worked.
    CpuTime,
    /// Size of a file that is written.
    FileSize,
    /// Processes at once.
    Processes,
    /// Threads at once.
    Threads,
}

/// What an amount is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, written with `B`, `KiB`, `MiB` or `GiB`.
    Bytes,
    /// Milliseconds, written with `ms`, `s`, `m` or `h`.
    Milliseconds,
    /// A number of things.
    Count,
}

/// One limit.
#[derive(Debug)]
pub struct LimitRow {
    /// Which it is.
    pub limit: Limit,
    /// As it is written in recipes and in `VKERNEL_POLICY`, and named in messages and events.
    pub key: &'static str,
    /// What its value is counted in.
    pub unit: Unit,
    /// Smallest value that a program can live with.
    pub least: u64,
    /// Largest value that means anything.
    pub most: u64,
    /// For people, in front of "limit".
    pub title: &'static str,
    /// What is counted, for documentation.
    pub counts: &'static str,
    /// What happens at the limit, for documentation.
    pub reached: &'static str,
}

const fn row(limit: Limit, key: &'static str, unit: Unit, title: &'static str) -> LimitRow {
    LimitRow {
        limit,
        key,
        unit,
        least: 1,
        most: match unit {
            Unit::Count => u32::MAX as u64,
            Unit::Bytes | Unit::Milliseconds => u64::MAX,
        },
        title,
        counts: "",
        reached: "",
    }
}

impl LimitRow {
    const fn says(self, counts: &'static str, reached: &'static str) -> LimitRow {
        LimitRow {
            counts,
            reached,
            ..self
        }
    }
}

/// Every limit, by its number.
pub const TABLE: &[LimitRow] = &[
    LimitRow {
        // Less than a page holds no program, and wasm32 addresses no more.
        least: 1 << 16,
        most: 1 << 32,
        ..row(Limit::Memory, "memory-max", Unit::Bytes, "memory")
    }
    .says(
        "linear memory of a process",
        "ENOMEM; a program whose module needs more from the start does not start",
    ),
    row(
        Limit::OpenFiles,
        "open-files-max",
        Unit::Count,
        "open files",
    )
    .says("descriptors of a process", "EMFILE"),
    row(
        Limit::WallTime,
        "wall-time-max",
        Unit::Milliseconds,
        "wall-clock",
    )
    .says(
        "time since the start, of all processes that it began",
        "they end",
    ),
    row(
        Limit::CpuTime,
        "cpu-time-max",
        Unit::Milliseconds,
        "CPU-time",
    )
    .says(
        "time that processors have worked for a process",
        "the process ends",
    ),
    row(Limit::FileSize, "file-size-max", Unit::Bytes, "file size").says(
        "bytes of a file that is written",
        "EFBIG, and SIGXFSZ for programs with Linux system calls",
    ),
    row(Limit::Processes, "processes-max", Unit::Count, "processes").says(
        "processes of what one start began, zombies included",
        "EAGAIN",
    ),
    row(Limit::Threads, "threads-max", Unit::Count, "threads")
        .says("threads of a process", "EAGAIN"),
];

impl Limit {
    /// Its row.
    pub fn row(self) -> &'static LimitRow {
        // A test compares the table with the numbers.
        TABLE.get(self as usize).unwrap_or(&TABLE[0])
    }

    /// Its key, as it is written.
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// The limit with this key.
    pub fn of_key(key: &str) -> Option<Limit> {
        TABLE.iter().find(|row| row.key == key).map(|row| row.limit)
    }

    /// Its bit in the policy's flags.
    pub(crate) fn flag(self) -> u32 {
        1 << self as u32
    }

    /// A value from its text. Else what it should have been, for people, in words that follow
    /// "is not".
    pub fn parse(self, text: &str) -> Result<u64, &'static str> {
        let row = self.row();
        let value = match row.unit {
            Unit::Bytes => size(text),
            Unit::Milliseconds => duration_ms(text),
            Unit::Count => text.parse().ok(),
        };
        match value {
            Some(value) if (row.least..=row.most).contains(&value) => Ok(value),
            _ => Err(row.wanted()),
        }
    }

    /// A value for people: `64 KiB` is `65536 bytes`, since limits are exact.
    pub fn text(self, value: u64) -> String {
        match self.row().unit {
            Unit::Bytes => format!("{value} bytes"),
            Unit::Milliseconds => format!("{value} ms"),
            Unit::Count => value.to_string(),
        }
    }
}

impl LimitRow {
    /// What a value has to be, for people.
    pub fn wanted(&self) -> &'static str {
        match (self.unit, self.limit) {
            (Unit::Bytes, Limit::Memory) => {
                "a size of memory between 64KiB and 4GiB: a number and `KiB`, `MiB` or `GiB`"
            }
            (Unit::Bytes, _) => "a size: a number and `B`, `KiB`, `MiB` or `GiB`",
            (Unit::Milliseconds, _) => "a time: a number and `ms`, `s`, `m` or `h`",
            (Unit::Count, _) => "a number above 0",
        }
    }
}

/// Bytes from `"256MiB"`, `"64KiB"`, `"2GiB"` or `"4096B"`; `None` if it is none of these or does
/// not fit in 64 bits.
fn size(text: &str) -> Option<u64> {
    with_unit(
        text,
        &[
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("B", 1),
        ],
    )
}

/// Milliseconds from `"500ms"`, `"30s"`, `"5m"` or `"1h"`.
fn duration_ms(text: &str) -> Option<u64> {
    with_unit(
        text,
        &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)],
    )
}

/// A decimal number and one of the units, in the order in which they are tried.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    let digits = digits.trim_end_matches(' ');
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The limits that are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits([Option<u64>; TABLE.len()]);

impl Limits {
    /// The limit's value, in its unit; `None` if there is none.
    pub fn get(&self, limit: Limit) -> Option<u64> {
        self.0.get(limit as usize).copied().flatten()
    }

    /// As [`Limits::get`], for what is counted in 32 bits.
    pub fn count(&self, limit: Limit) -> Option<u32> {
        self.get(limit)
            .map(|value| u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// Sets or removes a limit.
    pub fn set(&mut self, limit: Limit, value: Option<u64>) {
        if let Some(place) = self.0.get_mut(limit as usize) {
            *place = value;
        }
    }

    /// These, with one more.
    pub fn with(mut self, limit: Limit, value: u64) -> Limits {
        self.set(limit, Some(value));
        self
    }

    /// Sets a limit, unless a smaller one holds.
    pub fn lower(&mut self, limit: Limit, value: u64) {
        let value = self.get(limit).map_or(value, |now| now.min(value));
        self.set(limit, Some(value));
    }

    /// These, and where one is not set, those.
    pub fn or(&self, those: &Limits) -> Limits {
        let mut all = *those;
        for (limit, value) in self.iter() {
            all.set(limit, Some(value));
        }
        all
    }

    /// Those that are set, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, u64)> {
        TABLE
            .iter()
            .filter_map(|row| Some((row.limit, self.get(row.limit)?)))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Limits {
    /// A map from keys to values in their units.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter().map(|(limit, value)| (limit.key(), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_numbers() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.limit as usize, at, "{}", row.key);
            assert_eq!(Limit::of_key(row.key), Some(row.limit));
            assert!(!row.counts.is_empty() && !row.reached.is_empty());
        }
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size("256MiB"), Some(256 << 20));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        assert_eq!(size("7B"), Some(7));
        assert_eq!(duration_ms("30s"), Some(30_000));
        assert_eq!(duration_ms("500ms"), Some(500));
        assert_eq!(duration_ms("1h"), Some(3_600_000));
        for bad in [
            "",
            "MiB",
            "1",
            "1.5GiB",
            "-1B",
            "+1B",
            "1mb",
            "99999999999GiB",
        ] {
            assert_eq!(size(bad), None, "{bad}");
            assert_eq!(duration_ms(bad), None, "{bad}");
        }
    }

    #[test]
    fn values_that_no_program_can_live_with() {
        assert_eq!(Limit::Memory.parse("64KiB"), Ok(65536));
        assert!(Limit::Memory.parse("65535B").is_err());
        assert!(Limit::Memory.parse("5GiB").is_err());
        assert!(Limit::Threads.parse("0").is_err());
        assert!(Limit::Threads.parse("4294967296").is_err());
        assert_eq!(Limit::WallTime.parse("2m"), Ok(120_000));
        assert!(Limit::WallTime.parse("0s").is_err());
    }

    #[test]
    fn the_smaller_holds_and_the_upper_layer_wins() {
        let mut limits = Limits::default().with(Limit::Threads, 4);
        limits.lower(Limit::Threads, 5);
        assert_eq!(limits.count(Limit::Threads), Some(4));
        limits.lower(Limit::Memory, 1 << 20);
        let under = Limits::default()
            .with(Limit::Memory, 1 << 30)
            .with(Limit::Processes, 9);
        let all: Vec<_> = limits.or(&under).iter().collect();
        assert_eq!(
            all,
            [
                (Limit::Memory, 1 << 20),
                (Limit::Processes, 9),
                (Limit::Threads, 4)
            ]
        );
    }
}
