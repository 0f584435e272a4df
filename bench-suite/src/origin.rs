//! When, and of which tree, something was measured.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// Of the tree that this is run in, where it is one of git.
pub fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=12"]).output();
    let text = described.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    text.map(|text| String::from_utf8_lossy(&text).trim().to_string()).unwrap_or_default()
}

/// Now, as `2026-11-21T10:34:57Z`.
pub fn date() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days to a date: Howard Hinnant, "chrono-compatible low-level date algorithms".
    let shifted = days as i64 + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_date_is_one() {
        let date = super::date();
        let digits = |range: std::ops::Range<usize>| date[range].parse::<u32>().unwrap();
        assert!(
            digits(0..4) >= 2025 && (1..=12).contains(&digits(5..7)) && (1..=31).contains(&digits(8..10))
        );
        assert_eq!((date.len(), date.ends_with('Z')), (20, true));
    }
}
