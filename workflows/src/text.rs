//! How text, numbers, times and money are shown to people.

use chrono::{DateTime, TimeDelta, Utc};

/// `text`, cut to `limit` characters with an ellipsis where something is cut.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2,000 files`.
pub fn count(number: u64, one: &str) -> String {
    count_of(number, one, &format!("{one}s"))
}

/// The same where the plural is formed in another way: `1 retry`, `2 retries`.
pub fn count_of(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", grouped(number)),
    }
}

/// A length of time in its two largest units: `23 h 57 min`. Negative lengths are zero.
pub fn duration(length: TimeDelta) -> String {
    let seconds = length.num_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

/// So many seconds, as [`duration`] shows them.
pub fn seconds(number: u64) -> String {
    // Longer than chrono can tell is long enough.
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    duration(TimeDelta::try_seconds(number).unwrap_or(TimeDelta::MAX))
}

/// A point in time to the second, in UTC.
pub fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Money, from millionths of a US dollar. What is spent never shows as nothing.
pub fn money(micro_usd: u64) -> String {
    match micro_usd {
        0 => "$0.00".to_owned(),
        1..10_000 => "<$0.01".to_owned(),
        _ => format!("${}.{:02}", micro_usd / 1_000_000, micro_usd / 10_000 % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_ends_with_an_ellipsis_and_counts_letters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüx", 3), "äö…");
        assert_eq!(shorten("x", 0), "…");
    }

    #[test]
    fn things_are_counted_as_people_do() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(count(2_000, "file"), "2,000 files");
        assert_eq!(count_of(2, "retry", "retries"), "2 retries");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn lengths_of_time_have_their_two_largest_units() {
        for (seconds, text) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (86_220, "23 h 57 min"),
            (7 * 86_400, "7 d"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(TimeDelta::seconds(seconds)), text);
        }
        assert_eq!(seconds(90), "1 min 30 s");
        assert!(seconds(u64::MAX).ends_with('d') || seconds(u64::MAX).ends_with('h'));
    }

    #[test]
    fn what_is_spent_never_shows_as_nothing() {
        for (micro, text) in [
            (0, "$0.00"),
            (1, "<$0.01"),
            (10_000, "$0.01"),
            (1_239_999, "$1.23"),
        ] {
            assert_eq!(money(micro), text);
        }
    }
}
