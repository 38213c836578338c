//! How values that many settings share are written. Every parser answers with the end of a sentence about what it wants.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Far beyond any sensible wait, and small enough that adding it to a time never overflows.
const LONGEST_DURATION: Duration = Duration::from_secs(366 * DAY);

/// Seconds.
const DAY: u64 = 24 * 60 * 60;

pub type Parsed<T> = Result<T, String>;

pub fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// The path of a file or of a directory.
pub fn path(text: &str) -> Parsed<String> {
    if text == "~" || text.starts_with("~/") {
        return Err("must be written out: only a shell takes `~` for the home directory".to_owned());
    }
    Ok(text.to_owned())
}

pub fn boolean(text: &str) -> Parsed<bool> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be `true` or `false`".to_owned()),
    }
}

pub fn number<N: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<N>) -> Parsed<N> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| only_digits && range.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// One number and one unit: `300ms`, `15s`, `5m`, `24h`, `90d`, `2w`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let duration = measured(text)?.filter(|duration| *duration <= LONGEST_DURATION);
    duration.ok_or_else(|| "must be at most a year".to_owned())
}

/// How long something is kept: from a day to ten years.
pub fn time_to_keep(text: &str) -> Parsed<Duration> {
    let bounds = Duration::from_secs(DAY)..=10 * LONGEST_DURATION;
    let duration = measured(text)?.filter(|duration| bounds.contains(duration));
    duration.ok_or_else(|| "must be from `1d` to ten years, `3660d`".to_owned())
}

/// None: more than there are numbers for.
fn measured(text: &str) -> Parsed<Option<Duration>> {
    let malformed = || "must be a duration like `300ms`, `15s`, `5m`, `24h`, `90d` or `2w`".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at(digits);
    let milliseconds_a_unit: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY * 1_000,
        "w" => 7 * DAY * 1_000,
        _ => return Err(malformed()),
    };
    if count.is_empty() {
        return Err(malformed());
    }
    let milliseconds = count.parse().ok().and_then(|count: u64| count.checked_mul(milliseconds_a_unit));
    Ok(milliseconds.map(Duration::from_millis))
}

pub fn duration_of_at_least(text: &str, shortest: Duration) -> Parsed<Duration> {
    let duration = duration(text)?;
    if duration < shortest {
        return Err(format!("must be at least {}s", shortest.as_secs()));
    }
    Ok(duration)
}

pub fn duration_between(text: &str, shortest: Duration, longest: Duration) -> Parsed<Duration> {
    let duration = duration(text)?;
    if duration < shortest || duration > longest {
        return Err(format!("must be from {}s to {}s", shortest.as_secs(), longest.as_secs()));
    }
    Ok(duration)
}

pub fn durations(text: &str) -> Parsed<Vec<Duration>> {
    let durations: Result<Vec<_>, _> = text.split(',').map(|item| duration(item.trim())).collect();
    durations.map_err(|_| "must be durations with commas in between, like `1s,4s,16s`".to_owned())
}
