//! What `/metrics` of a running house says: that it counts exactly, that nobody outside makes it grow, and that everything
//! that is made of it (dashboard, alerts, documentation) speaks of what is there.

mod counts;
mod deployed;
mod documented;
mod introspected;
mod promql;
mod reasons;
mod reloaded;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;
use portcullis::demo::http;
use portcullis::demo::scratch::ScratchDir;

use crate::house::TestHouse;

/// The labels of a series, by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// One look at everything.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    /// The type and the help of each family, by name.
    pub(crate) families: BTreeMap<String, (String, String)>,
    /// Every series with its value: the name, the labels, the value.
    pub(crate) series: Vec<(String, Labels, f64)>,
}

impl Scrape {
    pub(crate) async fn of(admin: SocketAddr) -> Self {
        Self::read(&text(admin, "application/openmetrics-text;version=1.0.0").await.1)
    }

    /// Reads the text of OpenMetrics, strictly.
    fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        let lines = text.strip_suffix("# EOF\n").expect("an end");
        for line in lines.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help");
                let new = scrape
                    .families
                    .insert(name.to_owned(), (String::new(), help.to_owned()));
                assert!(new.is_none(), "two families are called {name}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                scrape.families.get_mut(name).expect("a help before it").0 = kind.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                let (name, labels) = match series.split_once('{') {
                    Some((name, labels)) => {
                        (name, pairs(labels.strip_suffix('}').expect("the end of labels")))
                    }
                    None => (series, Labels::new()),
                };
                assert!(scrape.family(name).is_some(), "{name} is of no family");
                let known = scrape.series.iter().any(|(n, l, _)| n == name && *l == labels);
                assert!(!known, "twice: {line}");
                let value = value.parse().expect("a number");
                scrape.series.push((name.to_owned(), labels, value));
            }
        }
        scrape
    }

    /// The family of a series.
    pub(crate) fn family(&self, series: &str) -> Option<&str> {
        let names = ["", "_total", "_bucket", "_sum", "_count"].into_iter();
        let mut names = names.filter_map(|ending| series.strip_suffix(ending));
        names
            .find_map(|name| self.families.get_key_value(name))
            .map(|(name, _)| name.as_str())
    }

    /// All series of that name with these labels, among others.
    pub(crate) fn with<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&str, &str)],
    ) -> impl Iterator<Item = (&'s Labels, f64)> {
        let series = self.series.iter().filter(move |(known, all, _)| {
            let same = |(label, value): &(&str, &str)| all.get(*label).is_some_and(|found| found == value);
            known == name && labels.iter().all(same)
        });
        series.map(|(_, labels, value)| (labels, *value))
    }

    /// The sum of all these series; there must be one.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut all = self.with(name, labels).map(|(_, value)| value).peekable();
        assert!(all.peek().is_some(), "no series {name} {labels:?}");
        all.sum()
    }

    /// The names of the labels of a family, without the bounds of buckets.
    pub(crate) fn labels(&self, family: &str) -> BTreeSet<&str> {
        let series = self.series.iter();
        let series = series.filter(|(name, ..)| self.family(name) == Some(family));
        let labels = series.flat_map(|(_, labels, _)| labels.keys().map(String::as_str));
        labels.filter(|label| *label != "le").collect()
    }
}

/// A house that has everything there are metrics of, with its files.
pub(crate) struct Whole {
    pub(crate) house: TestHouse,
    _folder: ScratchDir,
}

impl Whole {
    pub(crate) async fn start() -> Self {
        let folder = ScratchDir::new("whole").expect("a folder");
        let file = |name: &str| folder.path().join(name).display().to_string();
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(file("tls.crt"), pair.cert.pem()).expect("a file");
        std::fs::write(file("tls.key"), pair.signing_key.serialize_pem()).expect("a file");
        let listener = format!(
            "envoy_grpc: 127.0.0.1:0\n  http: [{{ address: '127.0.0.1:0', doors: [{{ contract: caddy }}], \
             tls: {{ certificate: {}, key: {} }} }}]",
            file("tls.crt"),
            file("tls.key"),
        );
        let authority = format!(
            "\nauthority: {{ issuer: 'http://127.0.0.1:9193', listen: '127.0.0.1:0', store: 'sqlite:{}' }}\n",
            file("house.db")
        );
        let introspection = "introspection: [{ name: opaque, url: 'http://127.0.0.1:9/', client_id: us, client_secret: s3cret, \
                             audiences: [ours], claims: { type: { otherwise: User } } }]\n";
        let alter =
            |text: String| text.replace("envoy_grpc: 127.0.0.1:0", &listener) + &authority + introspection;
        Self {
            house: TestHouse::with_house_policies(alter, &[], "").await,
            _folder: folder,
        }
    }
}

/// The type of an answer and its text.
async fn text(admin: SocketAddr, accept: &str) -> (String, String) {
    let headers = [("accept".to_owned(), accept.to_owned())];
    let answer = http::send(admin, "GET", "/metrics", &headers, Bytes::new()).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 200);
    let kind = answer.headers().get("content-type").expect("a type");
    let kind = kind.to_str().expect("a text").to_owned();
    (kind, String::from_utf8(answer.body().to_vec()).expect("UTF-8"))
}

/// `a="b",c="d"`
fn pairs(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").expect("a label");
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, c) => value.push(c),
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, '\\') => {}
                (false, c) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        labels.insert(name.to_owned(), value);
        let after = &after[end.expect("the end of a value") + 1..];
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    labels
}
