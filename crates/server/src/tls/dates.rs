//! From when to when a certificate is good (RFC 5280 section 4.1.2.5): so that nobody is surprised by its end.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version of a certificate, which may be absent.
const VERSION: u8 = 0xa0;
/// Nobody needs to hear of it earlier.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dates {
    from: SystemTime,
    until: SystemTime,
}

impl Dates {
    /// What a certificate says; `None` if it cannot be read.
    pub(crate) fn of(certificate: &[u8]) -> Option<Self> {
        let (SEQUENCE, certificate, _) = take(certificate)? else {
            return None;
        };
        let (SEQUENCE, mut rest, _) = take(certificate)? else {
            return None;
        };
        if rest.first() == Some(&VERSION) {
            rest = take(rest)?.2;
        }
        // Its number, the algorithm of its signature, its issuer.
        for _ in 0..3 {
            rest = take(rest)?.2;
        }
        let (SEQUENCE, validity, _) = take(rest)? else {
            return None;
        };
        let (kind, from, rest) = take(validity)?;
        let from = time(kind, from)?;
        let (kind, until, _) = take(rest)?;
        Some(Self {
            from,
            until: time(kind, until)?,
        })
    }

    /// The last moment.
    pub(crate) fn until(self) -> SystemTime {
        self.until
    }

    /// When it expires, as the end of a sentence about the certificate.
    pub(crate) fn expires(self, now: SystemTime) -> String {
        let left = self.until.duration_since(now).unwrap_or_default().as_secs();
        let (number, unit) = match left {
            172_800.. => (left / 86_400, "days"),
            7200.. => (left / 3600, "hours"),
            _ => (left / 60, "minutes"),
        };
        format!("expires in {number} {unit}, at {}", written(self.until))
    }

    /// What is wrong with that at some time, as the end of a sentence about the certificate.
    pub(crate) fn flaw(self, now: SystemTime) -> Option<String> {
        if now > self.until {
            return Some(format!("HAS EXPIRED at {}", written(self.until)));
        }
        if now < self.from {
            return Some(format!("is not valid before {}", written(self.from)));
        }
        let life = self.until.duration_since(self.from).unwrap_or_default();
        let left = self.until.duration_since(now).unwrap_or_default();
        // Those that are renewed every day are renewed long before.
        (left < SOON.min(life / 4)).then(|| self.expires(now))
    }
}

fn written(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| "a time far away".to_owned(), |at| format!("{at:.0}"))
}

/// The first value of some DER: its kind, what is in it, and what comes after it.
fn take(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*kind, value, rest))
}

/// `YYMMDDHHMMSSZ`, or with four digits of the year.
fn time(kind: u8, text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match kind {
        // RFC 5280 section 4.1.2.5.1
        UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn dates_are_read_and_judged() {
        let mut parameters = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2027, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let dates = Dates::of(certificate.der()).unwrap();
        assert_eq!(
            (dates.from, dates.until),
            (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
        );
        for (now, flaw) in [
            ("2026-06-01T00:00:00Z", None),
            ("2026-12-01T00:00:00Z", None),
            (
                "2025-12-31T23:59:59Z",
                Some("is not valid before 2026-01-01T00:00:00Z"),
            ),
            (
                "2027-01-01T00:00:01Z",
                Some("HAS EXPIRED at 2027-01-01T00:00:00Z"),
            ),
            (
                "2026-12-20T00:00:00Z",
                Some("expires in 12 days, at 2027-01-01T00:00:00Z"),
            ),
            (
                "2026-12-31T20:00:00Z",
                Some("expires in 4 hours, at 2027-01-01T00:00:00Z"),
            ),
            (
                "2026-12-31T23:30:00Z",
                Some("expires in 30 minutes, at 2027-01-01T00:00:00Z"),
            ),
        ] {
            assert_eq!(dates.flaw(at(now)).as_deref(), flaw, "{now}");
        }
    }

    #[test]
    fn one_for_a_day_is_warned_of_within_its_last_quarter() {
        let dates = Dates {
            from: at("2026-01-01T00:00:00Z"),
            until: at("2026-01-02T00:00:00Z"),
        };
        assert_eq!(dates.flaw(at("2026-01-01T17:00:00Z")), None);
        assert!(dates.flaw(at("2026-01-01T19:00:00Z")).is_some());
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        for der in [
            &b""[..],
            b"0",
            b"\x30\x05abc",
            b"\x30\x80",
            b"\x30\x03\x30\x01a",
            b"\x30\x84\xff\xff\xff\xff",
        ] {
            assert_eq!(Dates::of(der), None, "{der:?}");
        }
        for (kind, text, known) in [
            (UTC_TIME, "491231235959Z", Some("2049-12-31T23:59:59Z")),
            (UTC_TIME, "500101000000Z", Some("1950-01-01T00:00:00Z")),
            (GENERALIZED_TIME, "20500101000000Z", Some("2050-01-01T00:00:00Z")),
            (UTC_TIME, "4912312359Z", None),
            (UTC_TIME, "491331235959Z", None),
            (4, "491231235959Z", None),
        ] {
            assert_eq!(time(kind, text.as_bytes()), known.map(at), "{text}");
        }
    }
}
