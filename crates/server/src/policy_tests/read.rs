//! Suites become cases: one question with its answer each, and every problem at once.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::SystemTime;

use decide::Rules;
use decide::problem::Problem;
use model::{Contract, Principal, Reason};
use serde_json::Value;

use super::people::{self, Known, or_known};
use super::question::{Asker, Question};
use super::suite::{Expect, Grid, Suite, Test};
use crate::config::{Checked, Invalid};

/// The principal that always exists.
pub(super) const ANONYMOUS: &str = "anonymous";
const DEFAULT_HOST: &str = "api.example.test";
const DEFAULT_NOW: &str = "2026-01-01T00:00:00Z";
const REQUEST: &str =
    "for example `GET /workspaces/ws-alice`, or with a host `GET https://api.example.test/workspaces`";
const CONTRACTS: [Contract; Contract::COUNT - 1] = [
    Contract::Direct,
    Contract::EnvoyGrpc,
    Contract::EnvoyHttp,
    Contract::Apisix,
    Contract::ApisixOpa,
    Contract::Nginx,
    Contract::Traefik,
    Contract::Caddy,
    Contract::Haproxy,
    Contract::KongOpa,
];

/// A suite that can be run.
#[derive(Debug)]
pub(crate) struct ReadSuite {
    /// Its file, as messages name it.
    pub(crate) file: String,
    /// Its clock.
    pub(crate) now: SystemTime,
    /// Its principals by name, `anonymous` among them.
    pub(crate) people: BTreeMap<String, Asker>,
    /// Its questions, in order.
    pub(crate) cases: Vec<Case>,
}

/// One question with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The name of the test, or of the matrix it is a cell of.
    pub(crate) id: String,
    pub(crate) why: Option<String>,
    /// Where it is written.
    pub(crate) line: usize,
    /// The name of the principal.
    pub(crate) who: String,
    /// As the suite writes it.
    pub(crate) request: String,
    pub(crate) question: Question,
    pub(crate) expected: Expected,
}

/// What must come of it; `None` for what does not matter.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) verdict: Expect,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<String>,
    pub(crate) says: Option<String>,
    /// In the order of their names.
    pub(crate) policies: Option<Vec<String>>,
    pub(crate) route: Option<String>,
    pub(crate) set: BTreeMap<String, String>,
    pub(crate) unset: Vec<String>,
}

/// What suites can refer to.
pub(super) struct Reader<'r> {
    known: Known<'r>,
    policies: Vec<&'r str>,
    routes: Vec<&'r str>,
    /// The ids of the pack so far, with the places of those that have them.
    ids: HashMap<String, String>,
}

impl<'r> Reader<'r> {
    pub(super) fn new(rules: &'r Rules, issuers: &'r decide::identity::Rehearsal) -> Self {
        let mut policies: Vec<&str> = rules.policies().names().collect();
        policies.sort_unstable();
        Self {
            known: Known {
                names: rules.principal_names(),
                issuers,
            },
            policies,
            routes: rules.routes().routes().iter().map(|route| &*route.name).collect(),
            ids: HashMap::new(),
        }
    }

    /// Reads the text of the file called `name`.
    pub(super) fn suite(&mut self, name: &str, text: &str) -> Result<ReadSuite, Invalid> {
        let mut checked = Checked::<Suite>::read(name, text)?;
        let mut problems = std::mem::take(&mut checked.problems);
        let suite = &checked.value;
        let now = time(suite.now.as_deref().unwrap_or(DEFAULT_NOW), &mut problems);
        let mut people = BTreeMap::from([(ANONYMOUS.to_owned(), Ok(Principal::anonymous()))]);
        let mut names: Vec<&str> = vec![ANONYMOUS];
        for (name, person) in &suite.principals {
            let pointer = format!("/principals/{}", escaped(name));
            if name == ANONYMOUS {
                let message = "`anonymous` is whoever presents no credential, and always exists";
                problems.push(Problem::name(pointer, message, "choose another name"));
                continue;
            }
            names.push(name);
            let person = person.as_ref();
            let asker =
                person.and_then(|person| people::asker(person, &pointer, now, &self.known, &mut problems));
            people.extend(asker.map(|asker| (name.clone(), asker)));
        }
        if suite.tests.is_empty() && suite.matrix.is_empty() && problems.is_empty() {
            let help = "add `tests` or `matrix`";
            problems.push(Problem::setting("", "this suite tests nothing", help));
        }
        let mut scope = Scope {
            reader: self,
            file: name,
            host: suite.host.as_deref().unwrap_or(DEFAULT_HOST),
            people: names,
            line: &|pointer| checked.line(pointer),
            problems: &mut problems,
        };
        let mut cases = Vec::new();
        for (index, test) in suite.tests.iter().enumerate() {
            let test = test.as_ref();
            cases.extend(test.and_then(|test| scope.test(&format!("/tests/{index}"), test)));
        }
        for (index, grid) in suite.matrix.iter().enumerate() {
            let grid = grid.as_ref();
            cases.extend(
                grid.into_iter()
                    .flat_map(|grid| scope.grid(&format!("/matrix/{index}"), grid)),
            );
        }
        checked.problems = problems;
        checked.finish()?;
        Ok(ReadSuite {
            file: name.to_owned(),
            now,
            people,
            cases,
        })
    }
}

/// Where names of one suite are looked up.
struct Scope<'s, 'r> {
    reader: &'s mut Reader<'r>,
    file: &'s str,
    host: &'s str,
    people: Vec<&'s str>,
    line: &'s dyn Fn(&str) -> usize,
    problems: &'s mut Vec<Problem>,
}

impl Scope<'_, '_> {
    fn test(&mut self, pointer: &str, test: &Test) -> Option<Case> {
        let line = (self.line)(pointer);
        self.id(&format!("{pointer}/id"), &test.id, line);
        self.person(&format!("{pointer}/as"), &test.who);
        let question = self.request(&format!("{pointer}/request"), &test.request);
        let headers = self.headers(&format!("{pointer}/headers"), &test.headers);
        let contract = self.contract(pointer, test);
        let address = test
            .address
            .as_ref()
            .and_then(|text| match text.parse::<IpAddr>() {
                Ok(address) => Some(address),
                Err(_) => {
                    self.wrong(
                        format!("{pointer}/address"),
                        format!("`{text}` is no IP address"),
                        "",
                    );
                    None
                }
            });
        let expected = self.expected(pointer, test);
        Some(Case {
            id: test.id.clone(),
            why: test.why.clone(),
            line,
            who: test.who.clone(),
            request: test.request.clone(),
            question: Question {
                headers,
                body: test.body.clone(),
                contract,
                address,
                ..question?
            },
            expected,
        })
    }

    fn grid(&mut self, pointer: &str, grid: &Grid) -> Vec<Case> {
        let line = (self.line)(pointer);
        self.id(&format!("{pointer}/id"), &grid.id, line);
        for (part, is_empty) in [
            ("as", grid.who.is_empty()),
            ("requests", grid.requests.is_empty()),
        ] {
            if is_empty {
                self.wrong(
                    format!("{pointer}/{part}"),
                    "this list is empty, so nothing is tested".to_owned(),
                    "",
                );
            }
        }
        for (index, who) in grid.who.iter().enumerate() {
            self.person(&format!("{pointer}/as/{index}"), who);
        }
        let requests: Vec<&str> = grid.requests.iter().map(String::as_str).collect();
        for (who, allowed) in &grid.allow {
            let pointer = format!("{pointer}/allow/{}", escaped(who));
            if !grid.who.contains(who) {
                let names: Vec<&str> = grid.who.iter().map(String::as_str).collect();
                let message = format!("`{who}` is not in `as` of this matrix");
                self.problems
                    .push(Problem::name(&pointer, message, or_known(who, &names)));
            }
            for (index, request) in allowed.iter().enumerate() {
                if !grid.requests.contains(request) {
                    let message = format!("`{request}` is not in `requests` of this matrix");
                    self.wrong(
                        format!("{pointer}/{index}"),
                        message,
                        &or_known(request, &requests),
                    );
                }
            }
        }
        let mut cases = Vec::new();
        for (index, request) in grid.requests.iter().enumerate() {
            let Some(question) = self.request(&format!("{pointer}/requests/{index}"), request) else {
                continue;
            };
            let line = (self.line)(&format!("{pointer}/requests/{index}"));
            for who in &grid.who {
                let allowed = grid
                    .allow
                    .get(who)
                    .is_some_and(|allowed| allowed.contains(request));
                cases.push(Case {
                    id: grid.id.clone(),
                    why: grid.why.clone(),
                    line,
                    who: who.clone(),
                    request: request.clone(),
                    question: question.clone(),
                    expected: Expected::only(if allowed { Expect::Allow } else { Expect::Deny }),
                });
            }
        }
        cases
    }

    fn expected(&mut self, pointer: &str, test: &Test) -> Expected {
        let (of_denial, of_allow) = match test.expect {
            Expect::Allow => (&["status", "says"][..], &[][..]),
            Expect::Deny => (&[][..], &["set", "unset"][..]),
        };
        let said = [
            ("status", test.status.is_some()),
            ("says", test.says.is_some()),
            ("set", !test.set.is_empty()),
            ("unset", !test.unset.is_empty()),
        ];
        for (name, is_said) in said {
            let other = match name {
                _ if of_denial.contains(&name) => "a denial",
                _ if of_allow.contains(&name) => "an allow",
                _ => continue,
            };
            if is_said {
                let message = format!("`{name}` is of {other}, and this test expects the other answer");
                self.problems.push(Problem::name(
                    format!("{pointer}/{name}"),
                    message,
                    "remove it, or change `expect`",
                ));
            }
        }
        if let Some(reason) = &test.reason {
            let known: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
            self.known(format!("{pointer}/reason"), "there is no reason", reason, &known);
        }
        if let Some(route) = &test.route {
            let known = self.reader.routes.clone();
            self.known(format!("{pointer}/route"), "there is no route", route, &known);
        }
        for (index, policy) in test.policies.iter().flatten().enumerate() {
            let known = self.reader.policies.clone();
            self.known(
                format!("{pointer}/policies/{index}"),
                "there is no policy",
                policy,
                &known,
            );
        }
        let lower = |name: &String| name.to_ascii_lowercase();
        Expected {
            status: test.status,
            reason: test.reason.clone(),
            says: test.says.clone(),
            policies: test.policies.clone().map(|mut policies| {
                policies.sort_unstable();
                policies
            }),
            route: test.route.clone(),
            set: test
                .set
                .iter()
                .map(|(name, value)| (lower(name), value.clone()))
                .collect(),
            unset: test.unset.iter().map(lower).collect(),
            ..Expected::only(test.expect)
        }
    }

    fn id(&mut self, pointer: &str, id: &str, line: usize) {
        if id.is_empty() {
            return self.wrong(pointer.to_owned(), "an id cannot be empty".to_owned(), "");
        }
        let here = format!("{}:{line}", self.file);
        if let Some(other) = self.reader.ids.insert(id.to_owned(), here) {
            let message = format!("the id `{id}` is taken: by {other}");
            self.wrong(pointer.to_owned(), message, "ids are unique in a pack");
        }
    }

    fn person(&mut self, pointer: &str, name: &str) {
        let known = self.people.clone();
        self.known(pointer.to_owned(), "`principals` has no", name, &known);
    }

    fn request(&mut self, pointer: &str, line: &str) -> Option<Question> {
        match Question::read(line, self.host) {
            Ok(question) => Some(question),
            Err(message) => {
                self.wrong(pointer.to_owned(), message.to_owned(), REQUEST);
                None
            }
        }
    }

    fn headers(&mut self, pointer: &str, headers: &BTreeMap<String, Value>) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (name, value) in headers {
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                match value {
                    Value::String(text) => all.push((name.to_ascii_lowercase(), text.clone())),
                    Value::Number(number) => all.push((name.to_ascii_lowercase(), number.to_string())),
                    _ => self.wrong(
                        format!("{pointer}/{}", escaped(name)),
                        "the value of a header is a text, or a list of texts".to_owned(),
                        "",
                    ),
                }
            }
        }
        all
    }

    fn contract(&mut self, pointer: &str, test: &Test) -> Contract {
        let Some(name) = &test.contract else {
            return Contract::Direct;
        };
        let names = CONTRACTS.map(Contract::as_str);
        self.known(
            format!("{pointer}/contract"),
            "there is no contract",
            name,
            &names,
        );
        let contract = CONTRACTS.into_iter().find(|contract| contract.as_str() == name);
        contract.unwrap_or(Contract::Direct)
    }

    /// Reports a name that is not known.
    fn known(&mut self, pointer: String, what: &str, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            self.wrong(pointer, format!("{what} `{word}`"), &or_known(word, known));
        }
    }

    fn wrong(&mut self, pointer: String, message: String, help: &str) {
        self.problems.push(Problem::setting(pointer, message, help));
    }
}

impl Expected {
    fn only(verdict: Expect) -> Self {
        Self {
            verdict,
            status: None,
            reason: None,
            says: None,
            policies: None,
            route: None,
            set: BTreeMap::new(),
            unset: Vec::new(),
        }
    }
}

fn time(text: &str, problems: &mut Vec<Problem>) -> SystemTime {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => time.into(),
        Err(_) => {
            let message = format!("`{text}` is no time");
            let help = "write date, time and zone, such as `2026-01-15T12:00:00Z`";
            problems.push(Problem::setting("/now", message, help));
            SystemTime::UNIX_EPOCH
        }
    }
}

/// A name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
