//! Durations and sizes as people write and read them. This module must not know what they measure.

use std::time::Duration;

/// Parses a duration such as `30s`, `10m`, `1h 30m` or `250ms`.
///
/// # Errors
/// Returns a sentence that says what is wrong.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a duration can't be zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err(format!("`{text}` is not a duration such as \"30s\", \"10m\" or \"1h 30m\"")),
    }
}

/// Parses a size such as `10 GiB` or `500MB`, in bytes.
///
/// # Errors
/// Returns a sentence that says what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    match text.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() > 0 => Ok(size.as_u64()),
        Ok(_) => Err("a size can't be zero".to_owned()),
        Err(_) => Err(format!("`{text}` is not a size such as \"10 GiB\" or \"500 MB\"")),
    }
}

/// Formats a size in powers of 1024, such as `10.0 GiB`.
pub fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// Formats a duration with at most two numbers: `7 ms`, `4.1 s`, `2m 05s`, `1h 02m`.
pub fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = duration.as_secs();
    if millis < 1000 {
        format!("{millis} ms")
    } else if millis < 59_950 {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 3600 {
        let seconds = seconds.max(60);
        format!("{}m {:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1.0 s"),
            (4149, "4.1 s"),
            (59_960, "1m 00s"),
            (125_000, "2m 05s"),
            (3_720_000, "1h 02m"),
        ];
        for (millis, expected) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn valid_units_are_parsed_and_others_refused() {
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_size("10 GiB"), Ok(10 << 30));
        assert_eq!(parse_size("500MB"), Ok(500_000_000));
        for bad in ["", "ten", "5 parsecs", "0s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "big", "0 B", "-1 GiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(size(10 << 30), "10.0 GiB");
    }
}
