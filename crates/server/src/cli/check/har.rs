//! An entry of a HAR file (HTTP Archive 1.2), as browsers save them.

use serde::Deserialize;

use super::asked::Url;
use crate::ask::Question;

#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
}

/// The request of the entry `number`, counted from 1; of the only one if no number is given.
///
/// # Errors
/// What is wrong with the file, with line and column; or which entries there are.
pub(super) fn parse(text: &str, number: Option<usize>) -> Result<(Question, Option<Vec<u8>>), String> {
    let archive: Archive =
        serde_json::from_str(text).map_err(|error| format!("this is no HAR file: {error}"))?;
    let entries = &archive.log.entries;
    let index = match (number, entries.len()) {
        (_, 0) => return Err("there is no entry in it".to_owned()),
        (None, 1) => 0,
        (Some(number), count) if (1..=count).contains(&number) => number - 1,
        (_, count) => {
            let told = entries.iter().enumerate().take(20).map(|(index, entry)| {
                let url = entry.request.url.split('?').next().unwrap_or_default();
                format!("\n  #{}  {} {url}", index + 1, entry.request.method)
            });
            let more = count.saturating_sub(20);
            let more = (more > 0).then(|| format!("\n  and {more} more"));
            return Err(format!(
                "it has {count} entries; name one, such as FILE#1:{}{}",
                told.collect::<String>(),
                more.unwrap_or_default()
            ));
        }
    };
    let Some(Entry { request }) = archive.log.entries.into_iter().nth(index) else {
        return Err("there is no such entry".to_owned());
    };
    let url = Url::parse(&request.url);
    let authority = request.headers.iter().find(|header| header.name == ":authority");
    let question = Question {
        host: authority.map_or(url.host, |header| header.value.clone()),
        method: request.method,
        scheme: url.scheme,
        target: url.target,
        headers: request
            .headers
            .into_iter()
            .filter(|header| !header.name.starts_with(':'))
            .map(|header| (header.name.to_ascii_lowercase(), header.value))
            .collect(),
    };
    let body = request
        .post_data
        .and_then(|data| data.text)
        .map(String::into_bytes);
    Ok((question, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{"log": {"entries": [
        {"request": {"method": "GET", "url": "https://a.test/x?t=secret", "headers": [{"name": "X-A", "value": "b"}]}},
        {"request": {"method": "POST", "url": "https://a.test/y", "headers": [{"name": ":authority", "value": "b.test"}],
                     "postData": {"mimeType": "text/plain", "text": "hello"}}}]}}"#;

    #[test]
    fn an_entry_is_a_question() {
        let (question, body) = parse(TWO, Some(1)).unwrap();
        assert_eq!(
            (question.method.as_str(), question.host.as_str()),
            ("GET", "a.test")
        );
        assert_eq!(question.target, "/x?t=secret");
        assert_eq!(question.headers, [("x-a".to_owned(), "b".to_owned())]);
        assert_eq!(body, None);
        let (question, body) = parse(TWO, Some(2)).unwrap();
        assert_eq!((question.host.as_str(), question.headers.len()), ("b.test", 0));
        assert_eq!(body.as_deref(), Some(&b"hello"[..]));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, number, part) in [
            ("{", None, "line 1 column 1"),
            ("{\"log\": {\"entries\": []}}", None, "there is no entry in it"),
            ("{\"log\": {}}", None, "missing field `entries`"),
            (
                TWO,
                None,
                "2 entries; name one, such as FILE#1:\n  #1  GET https://a.test/x\n  #2  POST",
            ),
            (TWO, Some(3), "2 entries"),
            (TWO, Some(0), "2 entries"),
        ] {
            let message = parse(text, number).unwrap_err();
            assert!(message.contains(part) && !message.contains("secret"), "{message}");
        }
    }
}
