//! Lengths of time and money as people type them.

/// Seconds from a text such as `90m`, `24h`, `2d` or `1d12h`; at least one.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no length of time; write it like 90m, 24h or 2d");
    let mut total: u64 = 0;
    let mut number = String::new();
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        let count: u64 = number.parse().map_err(|_| wrong())?;
        number.clear();
        total = count
            .checked_mul(unit)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
    }
    if total == 0 || !number.is_empty() {
        return Err(wrong());
    }
    Ok(total)
}

/// Millionths of a US dollar from a text such as `2` or `0.50`; at least one.
pub fn micro_usd(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no amount of US dollars; write it like 2 or 0.50");
    let (dollars, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(dollars) || !is_number(fraction) || fraction.len() > 6 {
        return Err(wrong());
    }
    let micro: u64 = format!("{fraction:0<6}").parse().map_err(|_| wrong())?;
    let dollars: u64 = dollars.parse().map_err(|_| wrong())?;
    dollars
        .checked_mul(1_000_000)
        .and_then(|whole| whole.checked_add(micro))
        .filter(|sum| *sum > 0)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_people_type_them() {
        for (text, expected) in [
            ("45s", 45),
            ("90m", 5400),
            ("24h", 86_400),
            ("2d", 172_800),
            ("1d12h", 129_600),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "24",
            "h",
            "-1h",
            "1.5h",
            "0m",
            "1w",
            "2 d",
            "99999999999999999999d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(seconds("soon").unwrap_err().contains("90m"));
    }

    #[test]
    fn dollars_are_read_exactly() {
        for (text, expected) in [
            ("2", 2_000_000),
            ("0.5", 500_000),
            ("12.34", 12_340_000),
            ("0.000001", 1),
        ] {
            assert_eq!(micro_usd(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "$2",
            "1,50",
            ".5",
            "1.",
            "1e3",
            "0.0000001",
            "99999999999999999999",
        ] {
            assert!(micro_usd(text).is_err(), "{text}");
        }
    }
}
