//! A curl command as a question: read, never run.

use std::collections::VecDeque;

use crate::ask::Question;

/// What a curl command would send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<Vec<u8>>,
}

/// Options that take a value and change nothing that is asked about.
const WITH_VALUE: [&str; 22] = [
    "-o",
    "--output",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--cacert",
    "--capath",
    "-E",
    "--cert",
    "--key",
    "--resolve",
    "--connect-to",
    "-w",
    "--write-out",
    "-x",
    "--proxy",
    "-c",
    "--cookie-jar",
    "-D",
    "--dump-header",
];

/// The same without a value.
const WITHOUT_VALUE: [&str; 22] = [
    "-s",
    "--silent",
    "-S",
    "--show-error",
    "-v",
    "--verbose",
    "-i",
    "--include",
    "-k",
    "--insecure",
    "-L",
    "--location",
    "-f",
    "--fail",
    "-N",
    "--no-buffer",
    "--compressed",
    "--http1.1",
    "--http2",
    "-g",
    "--globoff",
    "--path-as-is",
];

/// A word of the command, with the character at which it begins, from 1.
type Word = (usize, String);

/// Reads a command.
///
/// # Errors
/// What is wrong with it or not understood, and at which character.
pub(super) fn parse(command: &str) -> Result<Sent, String> {
    let mut words = VecDeque::from(words(command)?);
    if words.front().is_some_and(|(_, word)| word == "curl") {
        words.pop_front();
    }
    let mut reading = Reading::default();
    while let Some((at, word)) = words.pop_front() {
        let (option, glued) = match word.strip_prefix('-') {
            None => {
                reading.url(at, word)?;
                continue;
            }
            Some(long) if long.starts_with('-') => (word, None),
            // `-XPOST`, `-sSL`: the first letter is the option, and what follows its value or more options.
            Some(letters) => {
                let mut rest = letters.chars();
                let first = rest.next().map(|letter| format!("-{letter}"));
                let rest = rest.as_str();
                (
                    first.unwrap_or(word.clone()),
                    (!rest.is_empty()).then(|| rest.to_owned()),
                )
            }
        };
        let mut value = |what: &str| match &glued {
            Some(glued) => Ok(glued.clone()),
            None => words
                .pop_front()
                .map(|(_, value)| value)
                .ok_or_else(|| format!("character {at}: `{option}` needs {what}")),
        };
        match option.as_str() {
            "-X" | "--request" => reading.method = Some(value("a method")?),
            "-H" | "--header" => reading.header(at, &value("a header")?)?,
            "-d" | "--data" | "--data-ascii" | "--data-binary" => reading.data(at, &value("data")?)?,
            "--data-raw" => reading.append(&value("data")?),
            "--data-urlencode" => {
                return Err(format!(
                    "character {at}: `--data-urlencode` is not read here; write the encoded data with `--data-raw`"
                ));
            }
            "--json" => {
                reading.data(at, &value("JSON")?)?;
                for name in ["content-type", "accept"] {
                    reading.usual(name, "application/json");
                }
            }
            "-b" | "--cookie" => reading.cookie(at, value("a cookie")?)?,
            "-A" | "--user-agent" => reading.headers.push(("user-agent".to_owned(), value("a name")?)),
            "-e" | "--referer" => reading.headers.push(("referer".to_owned(), value("a URL")?)),
            "--oauth2-bearer" => {
                let token = value("a token")?;
                reading
                    .headers
                    .push(("authorization".to_owned(), format!("Bearer {token}")));
            }
            "--url" => reading.url(at, value("a URL")?)?,
            "-u" | "--user" => {
                return Err(format!(
                    "character {at}: `{option}` sends a name and a password, and no issuer takes those; \
                     use `-H 'authorization: Bearer …'`"
                ));
            }
            "-F" | "--form" | "-T" | "--upload-file" => {
                return Err(format!(
                    "character {at}: `{option}` sends a file, and files are not read here"
                ));
            }
            "-I" | "--head" => reading.head = true,
            "-G" | "--get" => reading.get = true,
            known if WITHOUT_VALUE.contains(&known) => {}
            known if WITH_VALUE.contains(&known) => {
                value("a value")?;
                continue;
            }
            unknown => {
                return Err(format!(
                    "character {at}: the option `{unknown}` is not known here"
                ));
            }
        }
        // Letters behind one without a value are options, too.
        if let Some(more) = glued
            && (WITHOUT_VALUE.contains(&option.as_str()) || matches!(option.as_str(), "-I" | "-G"))
        {
            words.push_front((at + 1, format!("-{more}")));
        }
    }
    reading.finish()
}

#[derive(Default)]
struct Reading {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    head: bool,
    get: bool,
}

impl Reading {
    fn url(&mut self, at: usize, url: String) -> Result<(), String> {
        match self.url.replace(url) {
            None => Ok(()),
            Some(_) => Err(format!("character {at}: a second URL; ask about one at a time")),
        }
    }

    fn header(&mut self, at: usize, header: &str) -> Result<(), String> {
        match header.split_once(':') {
            // curl removes a header of its own so.
            Some((_, value)) if value.trim().is_empty() => {}
            Some((name, value)) => {
                let name = name.trim().to_ascii_lowercase();
                self.headers.push((name, value.trim().to_owned()));
            }
            None if header.ends_with(';') => {
                let name = header.trim_end_matches(';').to_ascii_lowercase();
                self.headers.push((name, String::new()));
            }
            None => return Err(format!("character {at}: a header is `name: value`")),
        }
        Ok(())
    }

    fn cookie(&mut self, at: usize, cookie: String) -> Result<(), String> {
        if !cookie.contains('=') {
            return Err(format!(
                "character {at}: `-b` with a file of cookies is not read here; write `-b 'name=value'`"
            ));
        }
        self.headers.push(("cookie".to_owned(), cookie));
        Ok(())
    }

    fn data(&mut self, at: usize, data: &str) -> Result<(), String> {
        if data.starts_with('@') {
            return Err(format!(
                "character {at}: data from a file is not read here; write it with `--data-raw`"
            ));
        }
        self.append(data);
        Ok(())
    }

    fn append(&mut self, data: &str) {
        match &mut self.body {
            Some(body) => {
                body.push(b'&');
                body.extend_from_slice(data.as_bytes());
            }
            None => self.body = Some(data.as_bytes().to_vec()),
        }
    }

    fn usual(&mut self, name: &str, value: &str) {
        if !self.headers.iter().any(|(known, _)| known == name) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn finish(mut self) -> Result<Sent, String> {
        let mut url = self.url.take().ok_or("there is no URL in the command")?;
        if self.get
            && let Some(data) = self.body.take()
        {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&String::from_utf8_lossy(&data));
        }
        if self.body.is_some() {
            self.usual("content-type", "application/x-www-form-urlencoded");
        }
        let usual = match (self.head, &self.body) {
            (true, _) => "HEAD",
            (false, Some(_)) => "POST",
            (false, None) => "GET",
        };
        Ok(Sent {
            method: self.method.unwrap_or_else(|| usual.to_owned()),
            // curl asks over http when nothing else is said.
            url: if url.contains("://") {
                url
            } else {
                format!("http://{url}")
            },
            headers: self.headers,
            body: self.body,
        })
    }
}

/// Splits a command as a POSIX shell does, but replaces nothing.
fn words(command: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut characters = command.chars().enumerate().peekable();
    while let Some((index, c)) = characters.next() {
        let at = index + 1;
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        if c == '\\' && characters.next_if(|(_, next)| *next == '\n').is_some() {
            words.extend(word.take());
            continue;
        }
        let ansi = c == '$' && characters.peek().is_some_and(|(_, next)| *next == '\'');
        let (_, text) = word.get_or_insert((at, String::new()));
        match c {
            '\'' => loop {
                match characters.next() {
                    Some((_, '\'')) => break,
                    Some((_, c)) => text.push(c),
                    None => return Err(format!("character {at}: this quote is never closed")),
                }
            },
            '$' if ansi => {
                characters.next();
                loop {
                    match characters.next() {
                        Some((_, '\'')) => break,
                        Some((_, '\\')) => text.push(match characters.next() {
                            Some((_, 'n')) => '\n',
                            Some((_, 'r')) => '\r',
                            Some((_, 't')) => '\t',
                            Some((_, c @ ('\'' | '"' | '\\'))) => c,
                            other => {
                                let at = other.map_or(at, |(index, _)| index);
                                return Err(format!("character {at}: this escape is not read here"));
                            }
                        }),
                        Some((_, c)) => text.push(c),
                        None => return Err(format!("character {at}: this quote is never closed")),
                    }
                }
            }
            '"' => loop {
                match characters.next() {
                    Some((_, '"')) => break,
                    Some((_, '\\')) => match characters.next() {
                        Some((_, c @ ('"' | '\\' | '$' | '`'))) => text.push(c),
                        Some((_, '\n')) => {}
                        Some((_, c)) => text.extend(['\\', c]),
                        None => return Err(format!("character {at}: this quote is never closed")),
                    },
                    Some((index, '$' | '`')) => return Err(replaced(index + 1)),
                    Some((_, c)) => text.push(c),
                    None => return Err(format!("character {at}: this quote is never closed")),
                }
            },
            '\\' => match characters.next() {
                Some((_, c)) => text.push(c),
                None => return Err(format!("character {at}: nothing follows the backslash")),
            },
            '$' | '`' => return Err(replaced(at)),
            '|' | '>' | '<' | ';' | '&' => {
                return Err(format!(
                    "character {at}: `{c}` ends the command for a shell; quote it, or leave out what follows"
                ));
            }
            c => text.push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn replaced(at: usize) -> String {
    format!(
        "character {at}: a shell would put something else here, and nothing does now; write the value itself, or let your \
         shell replace it: --curl \"…\""
    )
}

impl Sent {
    /// As a question, with the body beside it.
    pub(super) fn question(self) -> Result<(Question, Option<Vec<u8>>), String> {
        let url = super::asked::Url::parse(&self.url);
        let question = Question {
            method: self.method,
            scheme: url.scheme,
            host: url.host,
            target: url.target,
            headers: self.headers,
        };
        Ok((question, self.body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_curl_reads_them() {
        for (command, method, url, headers, body) in [
            ("curl https://a.test/x", "GET", "https://a.test/x", &[][..], None),
            ("curl a.test", "GET", "http://a.test", &[], None),
            (
                "curl -sSL -XDELETE 'https://a.test/x y' -H 'X-A: b c'",
                "DELETE",
                "https://a.test/x y",
                &[("x-a", "b c")],
                None,
            ),
            (
                "curl \\\n  --request PUT \\\n --url \"https://a.test/\\\"q\\\"\" -b 'a=b; c=d'",
                "PUT",
                "https://a.test/\"q\"",
                &[("cookie", "a=b; c=d")],
                None,
            ),
            (
                "curl https://a.test --json '{\"a\": 1}'",
                "POST",
                "https://a.test",
                &[
                    ("content-type", "application/json"),
                    ("accept", "application/json"),
                ],
                Some("{\"a\": 1}"),
            ),
            (
                "curl https://a.test -d a=1 --data-raw b=@2",
                "POST",
                "https://a.test",
                &[("content-type", "application/x-www-form-urlencoded")],
                Some("a=1&b=@2"),
            ),
            (
                "curl -G https://a.test/?x=1 -d a=1",
                "GET",
                "https://a.test/?x=1&a=1",
                &[],
                None,
            ),
            ("curl -I https://a.test", "HEAD", "https://a.test", &[], None),
            (
                "curl -sI https://a.test -o /dev/null",
                "HEAD",
                "https://a.test",
                &[],
                None,
            ),
            (
                "curl https://a.test --oauth2-bearer t --data $'it\\'s'",
                "POST",
                "https://a.test",
                &[
                    ("authorization", "Bearer t"),
                    ("content-type", "application/x-www-form-urlencoded"),
                ],
                Some("it's"),
            ),
            (
                "curl https://a.test -H 'Accept:'",
                "GET",
                "https://a.test",
                &[],
                None,
            ),
        ] {
            let headers = headers
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect();
            let expected = Sent {
                method: method.to_owned(),
                url: url.to_owned(),
                headers,
                body: body.map(|body: &str| body.as_bytes().to_vec()),
            };
            assert_eq!(parse(command), Ok(expected), "{command}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (command, expected) in [
            ("curl", "there is no URL in the command"),
            (
                "curl a.test b.test",
                "character 13: a second URL; ask about one at a time",
            ),
            ("curl 'a.test", "character 6: this quote is never closed"),
            ("curl a.test -H", "character 13: `-H` needs a header"),
            ("curl a.test -H bad", "character 13: a header is `name: value`"),
            (
                "curl a.test --frobnicate",
                "character 13: the option `--frobnicate` is not known here",
            ),
            (
                "curl a.test -d @file",
                "character 13: data from a file is not read here; write it with `--data-raw`",
            ),
            (
                "curl a.test | jq",
                "character 13: `|` ends the command for a shell; quote it, or leave out what follows",
            ),
        ] {
            assert_eq!(parse(command), Err(expected.to_owned()), "{command}");
        }
        for (command, part) in [
            (
                "curl -u me:secret a.test",
                "character 6: `-u` sends a name and a password",
            ),
            (
                "curl a.test -H \"authorization: Bearer $TOKEN\"",
                "character 39: a shell would put something else here",
            ),
            ("curl a.test -F a=@b", "character 13: `-F` sends a file"),
        ] {
            let message = parse(command).unwrap_err();
            assert!(
                message.contains(part) && !message.contains("secret"),
                "{command}: {message}"
            );
        }
    }
}
