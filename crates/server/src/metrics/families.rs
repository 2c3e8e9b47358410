//! The text format of Prometheus: families of rows, each family written once however many sources add to it.

use std::collections::BTreeMap;
use std::fmt::Write;

use machine::Observed;

/// All figures of one scrape, in the order of their names.
#[derive(Debug, Default)]
pub struct Families {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: &'static str,
    rows: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A figure: whole ones are written exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// Anything else.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Whole(value)
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Whole(u64::try_from(value).unwrap_or(u64::MAX))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Real(value)
    }
}

/// One family to which rows are added.
pub struct Rows<'f> {
    name: &'static str,
    family: &'f mut Family,
}

impl Families {
    /// A family that only grows while the server runs; its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Rows<'_> {
        debug_assert!(
            name.ends_with("_total"),
            "{name} is a counter and must end with _total"
        );
        self.family(name, help, Kind::Counter)
    }

    /// A family of figures that go up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Rows<'_> {
        debug_assert!(
            !name.ends_with("_total"),
            "{name} is a gauge and must not end with _total"
        );
        self.family(name, help, Kind::Gauge)
    }

    /// A family of distributions, in base units.
    pub fn histogram(&mut self, name: &'static str, help: &'static str) -> Rows<'_> {
        self.family(name, help, Kind::Histogram)
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: Kind) -> Rows<'_> {
        debug_assert!(is_name(name), "{name} is no name for a figure");
        let family = self.families.entry(name).or_insert_with(|| Family {
            kind,
            help,
            rows: Vec::new(),
        });
        debug_assert_eq!(family.kind, kind, "{name} has two kinds");
        Rows { name, family }
    }

    /// The text that Prometheus reads. A row that two sources added is written once, the first: twice the same row would
    /// spoil the whole scrape.
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.families {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            let mut seen = std::collections::BTreeSet::new();
            for row in &family.rows {
                let series = row.rsplit_once(' ').map_or(row.as_str(), |(series, _)| series);
                if seen.insert(series) {
                    out.push_str(row);
                    out.push('\n');
                }
            }
        }
        out
    }
}

impl Rows<'_> {
    /// Adds a figure. Labels come from closed lists: never an address, a stream id or a free remote domain.
    pub fn row(&mut self, labels: &[(&'static str, &str)], value: impl Into<Value>) -> &mut Self {
        debug_assert_ne!(
            self.family.kind,
            Kind::Histogram,
            "{} needs observations",
            self.name
        );
        self.push("", labels, None, value.into());
        self
    }

    /// Adds a distribution.
    pub fn observations(&mut self, labels: &[(&'static str, &str)], observed: &Observed) -> &mut Self {
        debug_assert_eq!(
            self.family.kind,
            Kind::Histogram,
            "{} takes single figures",
            self.name
        );
        let mut total: u64 = 0;
        let bounds = observed
            .bounds
            .iter()
            .map(f64::to_string)
            .chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&observed.counts) {
            total = total.saturating_add(*count);
            self.push("_bucket", labels, Some(&bound), Value::Whole(total));
        }
        self.push("_sum", labels, None, Value::Real(observed.sum));
        self.push("_count", labels, None, Value::Whole(total));
        self
    }

    fn push(&mut self, suffix: &str, labels: &[(&'static str, &str)], bound: Option<&str>, value: Value) {
        let mut row = format!("{}{suffix}", self.name);
        let labels = labels
            .iter()
            .map(|(name, text)| (*name, *text))
            .chain(bound.map(|bound| ("le", bound)));
        let mut separator = '{';
        for (name, text) in labels {
            debug_assert!(is_name(name), "{name} is no name for a label");
            let _ = write!(row, "{separator}{name}=\"{}\"", escaped(text));
            separator = ',';
        }
        if separator == ',' {
            row.push('}');
        }
        let _ = match value {
            Value::Whole(value) => write!(row, " {value}"),
            Value::Real(value) => write!(row, " {}", real(value)),
        };
        self.family.rows.push(row);
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn real(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sources_of_one_family_are_written_together() {
        let mut families = Families::default();
        families
            .gauge("xmpp_sessions", "Bound sessions.")
            .row(&[("vhost", "a.lit"), ("state", "active")], 3_usize);
        families
            .counter("xmpp_limits_rejected_total", "What limits refused.")
            .row(&[("limit", "depth")], 1_u64);
        families
            .gauge("xmpp_sessions", "Bound sessions.")
            .row(&[("vhost", "b.lit"), ("state", "active")], 0_usize);
        let expected = "\
# HELP xmpp_limits_rejected_total What limits refused.
# TYPE xmpp_limits_rejected_total counter
xmpp_limits_rejected_total{limit=\"depth\"} 1
# HELP xmpp_sessions Bound sessions.
# TYPE xmpp_sessions gauge
xmpp_sessions{vhost=\"a.lit\",state=\"active\"} 3
xmpp_sessions{vhost=\"b.lit\",state=\"active\"} 0
";
        assert_eq!(families.write(), expected);
    }

    #[test]
    fn a_distribution_is_written_cumulatively() {
        let mut families = Families::default();
        let observed = Observed {
            bounds: &[0.005, 1.0],
            counts: vec![2, 3, 1],
            sum: 4.25,
        };
        families
            .histogram("xmpp_storage_operation_seconds", "Time.")
            .observations(&[("op", "commit")], &observed);
        let expected = "\
# HELP xmpp_storage_operation_seconds Time.
# TYPE xmpp_storage_operation_seconds histogram
xmpp_storage_operation_seconds_bucket{op=\"commit\",le=\"0.005\"} 2
xmpp_storage_operation_seconds_bucket{op=\"commit\",le=\"1\"} 5
xmpp_storage_operation_seconds_bucket{op=\"commit\",le=\"+Inf\"} 6
xmpp_storage_operation_seconds_sum{op=\"commit\"} 4.25
xmpp_storage_operation_seconds_count{op=\"commit\"} 6
";
        assert_eq!(families.write(), expected);
    }

    #[test]
    fn labels_are_escaped_and_figures_written_exactly() {
        let mut families = Families::default();
        families
            .gauge("a", "Line\nand \\.")
            .row(&[("name", "\"\\\n")], u64::MAX)
            .row(&[("name", "x")], f64::INFINITY)
            .row(&[("name", "y")], 0.1);
        let expected = "\
# HELP a Line\\nand \\\\.
# TYPE a gauge
a{name=\"\\\"\\\\\\n\"} 18446744073709551615
a{name=\"x\"} +Inf
a{name=\"y\"} 0.1
";
        assert_eq!(families.write(), expected);
    }

    #[test]
    fn a_row_added_twice_does_not_spoil_the_scrape() {
        let mut families = Families::default();
        families.gauge("a", "A.").row(&[], 1_u64).row(&[], 2_u64);
        assert_eq!(families.write(), "# HELP a A.\n# TYPE a gauge\na 1\n");
    }
}
