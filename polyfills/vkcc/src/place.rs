//! Where in memory and table of its programs a shared library is.

use std::ops::Range;

use vkernel_abi::library as abi;

/// Where a library is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) memory: Range<u32>,
    pub(crate) slots: Range<u32>,
}

impl Place {
    /// Reads four numbers: an address, how many bytes, a slot, how many slots.
    pub(crate) fn read(text: &str) -> Option<Place> {
        let mut numbers = text
            .split(':')
            .map(|number| match number.strip_prefix("0x") {
                Some(number) => u32::from_str_radix(number, 16).ok(),
                None => number.parse::<u32>().ok(),
            });
        let mut range = || {
            let start = numbers.next()??;
            Some(start..start.checked_add(numbers.next()??)?)
        };
        let (memory, slots) = (range()?, range()?);
        let inside = |range: &Range<u32>, all: &Range<u32>| {
            range.start < range.end && all.start <= range.start && range.end <= all.end
        };
        let aligned = [memory.start, memory.end]
            .iter()
            .all(|at| at % abi::ALIGNMENT == 0);
        let fits = aligned && inside(&memory, &abi::ADDRESSES) && inside(&slots, &abi::SLOTS);
        (fits && numbers.next().is_none()).then_some(Place { memory, slots })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = Place::read("0x4000000:65536:32768:512").unwrap();
        assert_eq!(place.memory, 67108864..67174400);
        assert_eq!(place.slots, 32768..33280);
        for text in [
            "",
            "1",
            "0x4000000:65536:32768",
            "0x4000000:65536:32768:512:1",
            "0x4000000:1:32768:512",
            "0x4000000:0:32768:512",
            "0:65536:32768:512",
            "0x4000000:65536:1:512",
            "0x4000000:4294901760:32768:512",
            "0x4000000:65536:32768:4294967295",
        ] {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }
}
