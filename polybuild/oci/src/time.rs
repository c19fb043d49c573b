//! The one time stamp of an image: `SOURCE_DATE_EPOCH` as the caller gives it.
//!
//! Nothing in this crate reads a clock.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z, within the years 1970 to 9999 (RFC 3339 has four digits).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoch(u64);

/// 9999-12-31T23:59:59Z.
const LAST: u64 = 253_402_300_799;

impl Epoch {
    /// `None` after the year 9999.
    pub fn new(seconds: u64) -> Option<Epoch> {
        (seconds <= LAST).then_some(Epoch(seconds))
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

/// RFC 3339 in UTC, as the image specification wants `created`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Days are counted from 0000-03-01 in eras of 400 years, so that the leap day is the last
        // day of a year and month lengths follow one linear formula.
        let day = days + 719_468;
        let (era, day_of_era) = (day / 146_097, day % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Epoch::new(seconds).unwrap().to_string(), text);
        }
        assert_eq!(Epoch::new(LAST + 1), None);
    }
}
