//! RFC 3339 timestamps in UTC with nanoseconds, without allocation.
//!
//! Also called from a signal handler: only arithmetic on the stack here. Days become dates by
//! Howard Hinnant's `civil_from_days` (public domain description, "chrono-Compatible Low-Level
//! Date Algorithms").

use std::time::{SystemTime, UNIX_EPOCH};

/// `2026-01-02T03:04:05.000000006Z`: always 30 ASCII bytes.
#[derive(Clone, Copy)]
pub(crate) struct Timestamp([u8; 30]);

impl Timestamp {
    /// The time `seconds` and `nanoseconds` after 1970-01-01T00:00:00Z; from year 10000 on, the
    /// last moment of 9999.
    pub(crate) fn new(seconds: u64, nanoseconds: u32) -> Timestamp {
        /// 9999-12-31T23:59:59Z.
        const LAST: u64 = 253_402_300_799;
        let seconds = seconds.min(LAST);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        // Years start in March here, so that the leap day is a year's last.
        let z = days + 719_468;
        let (era, day_of_era) = (z / 146_097, z % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);

        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (end, digits, mut value) in [
            (4, 4, year),
            (7, 2, month),
            (10, 2, day),
            (13, 2, of_day / 3600),
            (16, 2, of_day / 60 % 60),
            (19, 2, of_day % 60),
            (29, 9, u64::from(nanoseconds)),
        ] {
            for place in text[end - digits..end].iter_mut().rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        Timestamp(text)
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The time `at`; a time before 1970 shows as 1970.
pub(super) fn utc(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs(), since.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, nanoseconds: u32, expected: &str) {
        assert_eq!(Timestamp::new(seconds, nanoseconds).as_str(), expected);
    }

    #[test]
    fn dates() {
        // Expected values from date(1): `date -u -d @SECONDS`.
        check(0, 0, "1970-01-01T00:00:00.000000000Z");
        check(951_782_400, 5, "2000-02-29T00:00:00.000000005Z");
        check(951_868_799, 999_999_999, "2000-02-29T23:59:59.999999999Z");
        check(1_709_164_800, 0, "2024-02-29T00:00:00.000000000Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z");
        check(1_767_225_599, 0, "2025-12-31T23:59:59.000000000Z");
        check(253_402_300_799, 0, "9999-12-31T23:59:59.000000000Z");
        check(u64::MAX, 0, "9999-12-31T23:59:59.000000000Z");
    }
}
