//! The small grammars of names, versions and durations, written by hand: no
//! regular expression is compiled to check a pack.

/// The form of a text field.
pub(crate) struct Form {
    /// The grammar in words, for the message.
    pub(crate) expected: &'static str,
    matches: fn(&str) -> bool,
}

impl Form {
    pub(crate) fn matches(&self, text: &str) -> bool {
        (self.matches)(text)
    }
}

pub(crate) const PACK_ID: Form = Form {
    expected: "a lower-case letter, then lower-case letters, digits and `-`",
    matches: |text| {
        name(
            text,
            |c| c.is_ascii_lowercase(),
            |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-',
        )
    },
};

pub(crate) const PROMPT_ID: Form = Form {
    expected: "a lower-case letter, then lower-case letters, digits, `-` and `_`",
    matches: |text| name(text, |c| c.is_ascii_lowercase(), prompt_id_rest),
};

pub(crate) const IDENTIFIER: Form = Form {
    expected: "a letter or `_`, then letters, digits and `_` (ASCII)",
    matches: |text| name(text, identifier_start, identifier_rest),
};

pub(crate) const METRIC: Form = Form {
    expected: "a letter, `_` or `:`, then letters, digits, `_` and `:` (ASCII)",
    matches: |text| {
        name(text, |c| identifier_start(c) || c == b':', |c| identifier_rest(c) || c == b':')
    },
};

pub(crate) const PROVIDER_KEY: Form = Form {
    expected: "letters, digits, `-` and `_` (ASCII)",
    matches: |text| name(text, provider_key, provider_key),
};

pub(crate) const MEDIA_TYPE: Form = Form {
    expected: "lower-case letters, digits and `_`",
    matches: |text| name(text, media_type, media_type),
};

pub(crate) const LANGUAGE: Form = Form {
    expected: "a two-letter language code such as `en`",
    matches: |text| text.len() == 2 && text.bytes().all(|c| c.is_ascii_lowercase()),
};

pub(crate) const EXTENSION_KIND: Form = Form {
    expected: "`vendor.kind`",
    matches: |text| {
        text.split_once('.').is_some_and(|(vendor, kind)| {
            name(vendor, |c| c.is_ascii_lowercase(), prompt_id_rest)
                && name(kind, |c| c.is_ascii_lowercase(), |c| prompt_id_rest(c) || c == b'.')
        })
    },
};

/// SemVer 2.0.0 with an optional leading `v`.
pub(crate) const VERSION: Form =
    Form { expected: "a semantic version such as `1.2.3` or `1.2.3-rc.1`", matches: is_version };

/// The part of ISO 8601 durations that the specification takes.
pub(crate) const DURATION: Form =
    Form { expected: "an ISO 8601 duration such as `P90D`", matches: is_duration };

fn name(text: &str, first: impl Fn(u8) -> bool, rest: impl Fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(first) && bytes.all(rest)
}

fn prompt_id_rest(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_'
}

pub(crate) fn identifier_start(c: u8) -> bool {
    c.is_ascii_alphabetic() || c == b'_'
}

pub(crate) fn identifier_rest(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

fn provider_key(c: u8) -> bool {
    identifier_rest(c) || c == b'-'
}

fn media_type(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_'
}

fn is_digits(text: &str) -> bool {
    name(text, |c| c.is_ascii_digit(), |c| c.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (text, build) = split_optional(text, '+');
    let (core, pre_release) = split_optional(text, '-');
    let number = |part: &str| is_digits(part) && (part == "0" || !part.starts_with('0'));
    let label = |part: &str| {
        name(
            part,
            |c| c.is_ascii_alphanumeric() || c == b'-',
            |c| c.is_ascii_alphanumeric() || c == b'-',
        )
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre_release.is_none_or(|labels| {
            labels.split('.').all(|part| if is_digits(part) { number(part) } else { label(part) })
        })
        && build.is_none_or(|labels| labels.split('.').all(label))
}

fn split_optional(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_duration(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('P') else { return false };
    let (date, time) = split_optional(rest, 'T');
    // The date part may be absent only before a time, a time part never is empty.
    time.is_none_or(|time| has_units(time, "HMS"))
        && (has_units(date, "YMWD") || (date.is_empty() && time.is_some()))
}

/// One or more counts with units, each unit at most once and in order.
fn has_units(text: &str, units: &str) -> bool {
    let mut rest = text;
    let mut units = units.chars();
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let Some(unit) = after.chars().next().filter(|_| after.len() < rest.len()) else {
            return false;
        };
        if !units.any(|candidate| candidate == unit) {
            return false;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    !text.is_empty()
}

/// `YYYY-MM-DD` with a plausible month and day.
pub(crate) fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let between = |part: &str, most: u8| {
        part.len() == 2
            && is_digits(part)
            && part.parse().is_ok_and(|n: u8| (1..=most).contains(&n))
    };
    year.len() == 4 && is_digits(year) && between(month, 12) && between(day, 31)
}

/// A date and a time of day as in RFC 3339, roughly.
pub(crate) fn is_date_time(text: &str) -> bool {
    text.split_once(['T', 't', ' ']).is_some_and(|(date, time)| {
        is_date(date)
            && (time.ends_with(['Z', 'z']) || time.contains(['+', '-']))
            && time.get(..8).is_some_and(|clock| {
                clock.split(':').count() == 3 && clock.split(':').all(is_digits)
            })
    })
}

/// Whether a text begins with the scheme of an address (RFC 3986).
pub(crate) fn is_address(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && name(
                scheme,
                |c| c.is_ascii_alphabetic(),
                |c| c.is_ascii_alphanumeric() || b"+-.".contains(&c),
            )
    })
}

/// Whether `template_engine.syntax` describes the double braces that we read.
pub(crate) fn is_double_brace_syntax(text: &str) -> bool {
    text.trim()
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .is_some_and(|inside| IDENTIFIER.matches(inside.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_follow_semver() {
        for good in [
            "1.2.3",
            "v0.0.0",
            "1.0.0-rc.1",
            "1.0.0-0a.x-y",
            "1.0.0+build.01",
            "10.20.30-a+b",
            "1.0.0--",
        ] {
            assert!(VERSION.matches(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3+",
            "vv1.2.3",
            "1.2.x",
            "1.2.3-a..b",
        ] {
            assert!(!VERSION.matches(bad), "{bad}");
        }
    }

    #[test]
    fn names_follow_their_patterns() {
        assert!(
            PACK_ID.matches("a-1")
                && !PACK_ID.matches("a_1")
                && !PACK_ID.matches("A")
                && !PACK_ID.matches("")
        );
        assert!(PROMPT_ID.matches("a_1") && !PROMPT_ID.matches("1a") && !PROMPT_ID.matches("aB"));
        assert!(
            IDENTIFIER.matches("_aB1") && !IDENTIFIER.matches("a-b") && !IDENTIFIER.matches("ä")
        );
        assert!(METRIC.matches(":a_b") && !METRIC.matches("a-b"));
        assert!(PROVIDER_KEY.matches("1-_A") && !PROVIDER_KEY.matches("a.b"));
        assert!(
            EXTENSION_KIND.matches("acme.do.it-now")
                && !EXTENSION_KIND.matches("acme")
                && !EXTENSION_KIND.matches("acme.")
        );
        assert!(LANGUAGE.matches("en") && !LANGUAGE.matches("eng"));
    }

    #[test]
    fn durations_follow_the_specification() {
        for good in
            ["P1Y", "P1Y2M3W4D", "P90D", "PT1H", "PT1H2M3S", "P1DT12H", "P1Y2D", "PT5S", "PT1H3S"]
        {
            assert!(DURATION.matches(good), "{good}");
        }
        for bad in ["", "P", "PT", "P1", "P1H", "1D", "P1D2Y", "PT1S2M", "P1DT", "P-1D"] {
            assert!(!DURATION.matches(bad), "{bad}");
        }
    }

    #[test]
    fn dates_times_and_addresses_have_their_usual_form() {
        assert!(
            is_date("2026-03-20")
                && !is_date("2026-13-20")
                && !is_date("20-03-2026")
                && !is_date("soon")
        );
        assert!(
            is_date_time("2026-03-20T10:00:00Z") && is_date_time("2026-03-20T10:00:00.5+01:00")
        );
        assert!(!is_date_time("2026-03-20") && !is_date_time("2026-03-20T10:00:00"));
        assert!(
            is_address("https://a")
                && is_address("urn:x")
                && !is_address("a/b")
                && !is_address("1:2")
        );
    }

    #[test]
    fn only_double_braces_are_a_known_syntax() {
        assert!(is_double_brace_syntax("{{variable}}") && is_double_brace_syntax(" {{ name }} "));
        assert!(
            !is_double_brace_syntax("handlebars")
                && !is_double_brace_syntax("${variable}")
                && !is_double_brace_syntax("{{}}")
        );
    }
}
