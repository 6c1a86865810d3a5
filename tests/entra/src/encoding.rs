//! Small text encodings that several parts share: base64url without padding, form parameters, UTC timestamps.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Base64url without padding (RFC 4648 section 5).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text without padding; none if it is anything else.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Decoded `name=value` pairs of a query or a form, in order, duplicates kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parses `application/x-www-form-urlencoded` bytes.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The value of a parameter that is present and not empty (RFC 6749 section 3.1: empty is as if omitted).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// The first name that occurs more than once.
    pub(crate) fn duplicate(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.0.iter().map(|(key, _)| key.as_str()).find(|key| !seen.insert(*key))
    }

    /// All pairs.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// All names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

/// A moment as `2026-01-02 03:04:05Z`, the form of Entra's error bodies: a space where ISO 8601 has a `T`.
pub(crate) fn entra_timestamp(unix_s: i64) -> String {
    let moment = Utc::from_unix(unix_s);
    format!("{} {}Z", moment.date(), moment.time())
}

/// A moment as `2026-01-02T03:04:05`, the form of Graph's `innerError.date`.
pub(crate) fn graph_timestamp(unix_s: i64) -> String {
    let moment = Utc::from_unix(unix_s);
    format!("{}T{}", moment.date(), moment.time())
}

/// A moment as `Fri, 02 Jan 2026 03:04:05 GMT`, the form of HTTP headers (RFC 9110 section 5.6.7).
pub(crate) fn http_date(unix_s: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let moment = Utc::from_unix(unix_s);
    let name = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
    };
    // 1970 began on a Thursday.
    let weekday = name(&DAYS, unix_s.div_euclid(86_400).rem_euclid(7));
    let month = name(&MONTHS, moment.month - 1);
    format!("{weekday}, {:02} {month} {:04} {} GMT", moment.day, moment.year, moment.time())
}

/// Unix seconds of a UTC date (year, month, day) and time (hour, minute, second), all in their usual ranges.
pub(crate) fn unix_from_utc([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> i64 {
    let (shifted_month, shifted_year) = if month > 2 { (month - 3, year) } else { (month + 9, year - 1) }; // March is 0
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = shifted_year.div_euclid(400) * 146_097 + day_of_era - 719_468; // days since 1970-01-01
    days * 86_400 + hour * 3600 + minute * 60 + second
}

/// A civil date and time in UTC.
struct Utc {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
}

impl Utc {
    /// The Gregorian date of a number of seconds since 1970, by the usual day count over 400 year eras.
    fn from_unix(unix_s: i64) -> Self {
        let days = unix_s.div_euclid(86_400) + 719_468; // days since 0000-03-01
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153; // March is 0
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted_month + 2) / 5 + 1,
            second_of_day: unix_s.rem_euclid(86_400),
        }
    }

    fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    fn time(&self) -> String {
        let second = self.second_of_day;
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_follow_the_calendar() {
        let table = [
            ("epoch", 0, "1970-01-01 00:00:00Z"),
            ("before the epoch", -1, "1969-12-31 23:59:59Z"),
            ("leap day", 1_709_164_800, "2024-02-29 00:00:00Z"),
            ("day after a leap day", 1_709_251_199 + 1, "2024-03-01 00:00:00Z"),
            ("century that leaps", 951_782_400, "2000-02-29 00:00:00Z"),
            ("ordinary", 1_767_323_045, "2026-01-02 03:04:05Z"),
        ];
        for (name, unix_s, expected) in table {
            assert_eq!(entra_timestamp(unix_s), expected, "{name}");
        }
        assert_eq!(graph_timestamp(1_767_323_045), "2026-01-02T03:04:05");
        assert_eq!(http_date(1_767_323_045), "Fri, 02 Jan 2026 03:04:05 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        for day in -80_000..80_000 {
            let moment = Utc::from_unix(day * 86_400);
            assert_eq!(unix_from_utc([moment.year, moment.month, moment.day], [0; 3]), day * 86_400, "day {day}");
        }
        assert_eq!(unix_from_utc([2026, 1, 2], [3, 4, 5]), 1_767_323_045);
    }

    #[test]
    fn parameters_keep_order_and_see_duplicates() {
        let parameters = Parameters::parse(b"a=1%2B1&b=x+y&c=&a=2");
        assert_eq!(parameters.get("a"), Some("1+1"));
        assert_eq!(parameters.get("b"), Some("x y"));
        assert_eq!(parameters.get("c"), None, "empty counts as omitted");
        assert_eq!(parameters.duplicate(), Some("a"));
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["a", "b", "c", "a"]);
    }
}
