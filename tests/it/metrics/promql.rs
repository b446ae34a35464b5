//! As much of PromQL as is needed to know which series an expression speaks of.

use std::collections::BTreeSet;

/// A label, how it is compared, and with what.
pub(super) type Matcher = (String, String, String);

/// What an expression speaks of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expression {
    /// Each metric with what it is selected by: a label, an operator and a value.
    pub(super) selectors: Vec<(String, Vec<Matcher>)>,
    /// Labels that are grouped or joined by.
    pub(super) by: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(char),
}

/// Words that are no metrics. Functions are known by the parenthesis behind them.
const WORDS: [&str; 11] = [
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "by",
    "without",
];

impl Expression {
    pub(super) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut expression = Self::default();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let Token::Name(name) = token else {
                continue;
            };
            let next = tokens.get(at);
            if WORDS.contains(&name.as_str()) {
                let groups = ["by", "without", "on", "ignoring", "group_left", "group_right"];
                if groups.contains(&name.as_str()) && next == Some(&Token::Sign('(')) {
                    while let Some(token) = tokens.get(at).filter(|token| **token != Token::Sign(')')) {
                        if let Token::Name(label) = token {
                            expression.by.insert(label.clone());
                        }
                        at += 1;
                    }
                }
                continue;
            }
            let function = next == Some(&Token::Sign('('))
                || matches!(next, Some(Token::Name(word)) if word == "by" || word == "without");
            if function || name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let mut matchers = Vec::new();
            if next == Some(&Token::Sign('{')) {
                at += 1;
                while let Some(token) = tokens.get(at).filter(|token| **token != Token::Sign('}')) {
                    if let Token::Name(label) = token {
                        let (mut operator, mut value) = (String::new(), None);
                        while value.is_none() {
                            at += 1;
                            match tokens.get(at) {
                                Some(Token::Sign(sign)) => operator.push(*sign),
                                Some(Token::Text(text)) => value = Some(text.clone()),
                                other => panic!("{text}: {other:?} behind {label}"),
                            }
                        }
                        matchers.push((label.clone(), operator, value.unwrap_or_default()));
                    }
                    at += 1;
                }
            }
            expression.selectors.push((name.clone(), matchers));
        }
        expression
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        let length = match c {
            '"' => {
                let end = rest[1..]
                    .find('"')
                    .unwrap_or_else(|| panic!("no end of a text: {text}"));
                tokens.push(Token::Text(rest[1..=end].to_owned()));
                end + 2
            }
            // How long, and how finely.
            '[' => {
                rest.find(']')
                    .unwrap_or_else(|| panic!("no end of a range: {text}"))
                    + 1
            }
            c if is_name(c) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                tokens.push(Token::Name(rest[..end].to_owned()));
                end
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

#[test]
fn expressions_are_read() {
    type Selector<'s> = (&'s str, &'s [(&'s str, &'s str, &'s str)]);
    let check = |text: &str, selectors: &[Selector<'_>], by: &[&str]| {
        let owned = |(label, operator, value): &(&str, &str, &str)| {
            (label.to_string(), operator.to_string(), value.to_string())
        };
        let expected = Expression {
            selectors: selectors
                .iter()
                .map(|(name, matchers)| (name.to_string(), matchers.iter().map(owned).collect()))
                .collect(),
            by: by.iter().map(|label| label.to_string()).collect(),
        };
        assert_eq!(Expression::read(text), expected, "{text}");
    };
    check("up", &[("up", &[])], &[]);
    check(
        "sum by (a, b) (rate(x_total{v=\"deny\", r=~\"o|t\"}[5m])) > 0",
        &[("x_total", &[("v", "=", "deny"), ("r", "=~", "o|t")])],
        &["a", "b"],
    );
    check(
        "histogram_quantile(0.99, sum(rate(y_bucket[$__rate_interval])) by (le)) and on (i) z == bool 1e3",
        &[("y_bucket", &[]), ("z", &[])],
        &["i", "le"],
    );
    check("time() - s{a!=\"\"}", &[("s", &[("a", "!=", "")])], &[]);
}
