//! Deploy windows: whether one is open, and when the next one opens. It must not know what a window is for.
//!
//! A window is in the time of its zone. A time that a change to summer time skips is moved by the length of the
//! gap, and of a time that a change back repeats, the first counts as a start and as an end.

use std::cmp::Ordering;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::base::clock::Timestamp;
use crate::config::deploy::DeployWindow;

/// The minutes of a day.
const DAY: u16 = 24 * 60;

/// Returns whether a deploy is allowed at this time. Without windows, it always is.
pub fn is_open(windows: &[DeployWindow], now: Timestamp) -> bool {
    windows.is_empty() || windows.iter().any(|window| is_window_open(window, now))
}

/// Returns when the next window opens that is not open now. Returns `None` if there are no windows, or one is open.
pub fn next_opening(windows: &[DeployWindow], now: Timestamp) -> Option<Timestamp> {
    if is_open(windows, now) {
        return None;
    }
    windows.iter().filter_map(|window| next_start(window, now)).min()
}

fn is_window_open(window: &DeployWindow, now: Timestamp) -> bool {
    let Some((zone, today)) = day_in_zone(window, now) else { return false };
    // A window that began yesterday may end today.
    let days = [today.yesterday().ok(), Some(today)];
    days.into_iter().flatten().any(|day| {
        let times = times_on(window, day, &zone);
        times.is_some_and(|(start, end)| start <= now && now < end)
    })
}

fn next_start(window: &DeployWindow, now: Timestamp) -> Option<Timestamp> {
    let (zone, today) = day_in_zone(window, now)?;
    let mut day = today;
    // Each day of the week comes within eight days, also if it begins today and is over.
    for _ in 0..=8 {
        match times_on(window, day, &zone) {
            Some((start, end)) if start > now && end > start => return Some(start),
            _ => day = day.tomorrow().ok()?,
        }
    }
    None
}

/// Returns the zone of a window and its date. Returns `None` if the zone is unknown; then it is never open.
fn day_in_zone(window: &DeployWindow, now: Timestamp) -> Option<(TimeZone, Date)> {
    let zone = TimeZone::get(&window.zone).ok()?;
    let now = jiff::Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?;
    Some((zone.clone(), zone.to_datetime(now).date()))
}

/// Returns start and end of a window that begins on this day. Returns `None` if it does not begin on it.
fn times_on(window: &DeployWindow, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
    if !window.days[weekday] {
        return None;
    }
    let last = match window.to.cmp(&window.from) {
        Ordering::Greater => day,
        Ordering::Less | Ordering::Equal => day.tomorrow().ok()?,
    };
    Some((time(day, window.from, zone)?, time(last, window.to, zone)?))
}

fn time(day: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (day, minute) = if minute < DAY { (day, minute) } else { (day.tomorrow().ok()?, minute - DAY) };
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let time = zone.to_timestamp(day.at(hour, minute, 0, 0)).ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the time of a text such as `2026-03-29T01:30Z`.
    fn at(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp(u64::try_from(time.as_millisecond()).unwrap())
    }

    fn window(days: &str, from: &str, to: &str, zone: &str) -> DeployWindow {
        let minute = |text: &str| {
            let (hour, minute) = text.split_once(':').unwrap();
            hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
        };
        let days: Vec<bool> = days.chars().map(|c| c != '-').collect();
        DeployWindow {
            days: days.try_into().unwrap(),
            from: minute(from),
            to: minute(to),
            zone: zone.to_owned(),
        }
    }

    const ALL: &str = "MTWTFSS";

    #[test]
    fn window_is_open_from_its_start_to_before_its_end() {
        let windows = [window("MTWT---", "09:00", "16:00", "Europe/Berlin")];
        // 2026-11-26 is a Thursday.
        for (time, expected) in [
            ("2026-11-26T07:59:59.999Z", false),
            ("2026-11-26T08:00:00Z", true),
            ("2026-11-26T14:59:59Z", true),
            ("2026-11-26T15:00:00Z", false),
            ("2026-11-27T10:00:00Z", false),
            ("2026-11-28T10:00:00Z", false),
            ("2026-11-30T10:00:00Z", true),
        ] {
            assert_eq!(is_open(&windows, at(time)), expected, "{time}");
        }
    }

    #[test]
    fn next_opening_is_the_next_start_on_an_allowed_day() {
        let windows = [window("MTWT---", "09:00", "16:00", "Europe/Berlin")];
        for (now, expected) in [
            ("2026-11-26T15:00:00Z", Some("2026-11-30T08:00:00Z")),
            ("2026-11-30T00:00:00Z", Some("2026-11-30T08:00:00Z")),
            ("2026-11-25T22:00:00Z", Some("2026-11-26T08:00:00Z")),
            ("2026-11-26T09:00:00Z", None),
        ] {
            assert_eq!(next_opening(&windows, at(now)), expected.map(at), "{now}");
        }
        let weekly = [window("M------", "09:00", "10:00", "UTC")];
        assert_eq!(next_opening(&weekly, at("2026-11-30T10:00:00Z")), Some(at("2026-12-07T09:00:00Z")));
    }

    #[test]
    fn no_windows_are_always_open() {
        assert!(is_open(&[], at("2026-11-28T03:00:00Z")));
        assert_eq!(next_opening(&[], at("2026-11-28T03:00:00Z")), None);
    }

    #[test]
    fn window_over_midnight_belongs_to_the_day_on_which_it_starts() {
        let windows = [window("----F--", "22:00", "02:00", "UTC")];
        for (time, expected) in [
            ("2026-11-27T01:00:00Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T01:59:00Z", true),
            ("2026-11-28T02:00:00Z", false),
            ("2026-11-28T22:30:00Z", false),
        ] {
            assert_eq!(is_open(&windows, at(time)), expected, "{time}");
        }
        let until_midnight = [window("----F--", "22:00", "24:00", "UTC")];
        assert!(is_open(&until_midnight, at("2026-11-27T23:59:00Z")));
        assert!(!is_open(&until_midnight, at("2026-11-28T00:00:00Z")));
        let whole_day = [window("----F--", "06:00", "06:00", "UTC")];
        assert!(is_open(&whole_day, at("2026-11-28T05:59:00Z")));
        assert!(!is_open(&whole_day, at("2026-11-28T06:00:00Z")));
    }

    #[test]
    fn change_to_summer_time_moves_a_start_that_it_skips() {
        // On 2026-03-29 in Berlin, 02:00 becomes 03:00 at 01:00 UTC.
        let skipped = [window(ALL, "02:30", "04:00", "Europe/Berlin")];
        for (time, expected) in [
            ("2026-03-28T01:30:00Z", true),
            ("2026-03-29T01:29:00Z", false),
            ("2026-03-29T01:30:00Z", true),
            ("2026-03-29T02:00:00Z", false),
            ("2026-03-30T00:30:00Z", true),
        ] {
            assert_eq!(is_open(&skipped, at(time)), expected, "{time}");
        }
        let inside = [window(ALL, "02:10", "02:50", "Europe/Berlin")];
        assert!(is_open(&inside, at("2026-03-29T01:10:00Z")));
        assert_eq!(next_opening(&inside, at("2026-03-29T00:59:00Z")), Some(at("2026-03-29T01:10:00Z")));
        let night = [window(ALL, "22:00", "06:00", "Europe/Berlin")];
        assert!(is_open(&night, at("2026-03-29T03:59:00Z")) && !is_open(&night, at("2026-03-29T04:00:00Z")));
    }

    #[test]
    fn change_to_winter_time_counts_the_first_of_a_repeated_time() {
        // On 2026-10-25 in Berlin, 03:00 becomes 02:00 at 01:00 UTC: 02:30 is at 00:30 and at 01:30 UTC.
        let windows = [window(ALL, "02:30", "05:00", "Europe/Berlin")];
        for (time, expected) in [
            ("2026-10-25T00:29:00Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:15:00Z", true),
            ("2026-10-25T03:59:00Z", true),
            ("2026-10-25T04:00:00Z", false),
        ] {
            assert_eq!(is_open(&windows, at(time)), expected, "{time}");
        }
        let before = [window(ALL, "01:00", "02:30", "Europe/Berlin")];
        assert!(is_open(&before, at("2026-10-25T00:29:00Z")));
        assert!(!is_open(&before, at("2026-10-25T01:15:00Z")));
    }

    #[test]
    fn days_are_those_of_the_zone() {
        // When it is Sunday evening in New York, it is Monday in Tokyo and Kathmandu.
        let now = at("2026-11-30T00:30:00Z");
        for (days, zone, expected) in [
            ("M------", "Asia/Tokyo", true),
            ("M------", "Asia/Kathmandu", true),
            ("M------", "UTC", true),
            ("M------", "America/New_York", false),
            ("------S", "America/New_York", true),
            ("------S", "Pacific/Apia", false),
        ] {
            assert_eq!(is_open(&[window(days, "00:00", "24:00", zone)], now), expected, "{days} {zone}");
        }
    }

    #[test]
    fn one_open_window_of_several_is_enough_and_the_first_to_open_counts() {
        let windows = [
            window("M------", "09:00", "10:00", "America/New_York"),
            window("M------", "09:00", "10:00", "Europe/Berlin"),
        ];
        assert!(is_open(&windows, at("2026-11-30T08:30:00Z")));
        assert!(is_open(&windows, at("2026-11-30T14:30:00Z")));
        let between = at("2026-11-30T10:00:00Z");
        assert_eq!(next_opening(&windows, between), Some(at("2026-11-30T14:00:00Z")));
        assert_eq!(next_opening(&windows, at("2026-11-29T00:00:00Z")), Some(at("2026-11-30T08:00:00Z")));
    }
}
