//! Passwords in URLs: of the store, and wherever else somebody writes one.

use reqwest::Url;

use super::HIDDEN;

/// `postgres://user:password@host/db?sslpassword=secret` without either; what is no URL stays as it is. What cannot be read for
/// certain, because a part of it comes from elsewhere or because a password is not encoded as it must be, is hidden generously.
pub(super) fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // `u:12/34@host` is one, and 34 no path.
    let misread = authority.contains(':') && after.contains('@');
    let certain = Url::parse(text).is_ok() && !text.contains("${") && !misread;
    let shown = if certain { read(rest) } else { guessed(rest) };
    format!("{scheme}://{shown}")
}

/// Of a URL, what comes after `://`.
fn read(rest: &str) -> String {
    let (whole, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let (address, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
    let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((name, _)) => format!("{name}:{HIDDEN}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let pairs = query.strip_prefix('?').map(|query| {
        let pairs: Vec<String> = query.split('&').map(pair).collect();
        format!("?{}", pairs.join("&"))
    });
    format!("{authority}{path}{}{fragment}", pairs.unwrap_or_default())
}

/// A parameter, without its value if that is a password.
fn pair(pair: &str) -> String {
    let Some((name, _)) = pair.split_once('=') else {
        return pair.to_owned();
    };
    // A name that is encoded may be that of a password.
    match name.contains('%') || is_of_a_password(name) {
        true => format!("{name}={HIDDEN}"),
        false => pair.to_owned(),
    }
}

/// The same where nobody knows what is a password.
fn guessed(rest: &str) -> String {
    let (hidden, shown) = match rest.rfind('@') {
        // A parameter may have it in its value, and begins before.
        Some(at) if rest[..at].contains('?') => return HIDDEN.to_owned(),
        Some(at) => (HIDDEN, &rest[at..]),
        None => ("", rest),
    };
    match shown.split_once('?') {
        Some((address, query)) if query.contains('%') || is_of_a_password(query) => {
            format!("{hidden}{address}?{HIDDEN}")
        }
        _ => format!("{hidden}{shown}"),
    }
}

fn is_of_a_password(text: &str) -> bool {
    text.to_ascii_lowercase().contains("password")
}

#[cfg(test)]
mod tests;
