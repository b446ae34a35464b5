//! How deep the expressions of a policy are, found out before anything walks them.
//!
//! Whatever reads, checks and evaluates expressions does it by recursion: one that is too deep would end the process while
//! it is loaded, or be an error in every answer.

use crate::policy::SourceFile;
use crate::problem::Problem;

/// As deep an expression may be. Answering threads have room for several times as much.
const DEEPEST: usize = 200;

/// Says which policies of a file are too deep; true if there are any.
pub(super) fn check(file: &SourceFile, problems: &mut Vec<Problem>) -> bool {
    let before = problems.len();
    for (start, depth) in depths(&file.text) {
        if depth > DEEPEST {
            let rest = file.text.get(start..).unwrap_or_default();
            problems.push(Problem::source(
                &file.name,
                (start, rest.find('\n').unwrap_or(rest.len())),
                format!("the conditions of this policy are {depth} levels deep, more than {DEEPEST}"),
                "split the policy: each of several permits (or forbids) can have a part of an `||`, and \
                 `[…].contains(…)` stands for many `==`",
            ));
        }
    }
    problems.len() > before
}

/// What is between two brackets, or between none.
#[derive(Default)]
struct Level {
    /// Operators that are side by side: `a || b || c` is as deep as `((a) || b) || c`.
    chain: usize,
    /// The deepest bracket.
    inner: usize,
    /// The attributes one after the other of what is read just now, and the most so far.
    members: (usize, usize),
    /// The deepest between two commas so far.
    deepest: usize,
}

impl Level {
    fn operator(&mut self, levels: usize) {
        self.chain += levels;
        self.members.0 = 0;
    }

    fn member(&mut self) {
        self.members.0 += 1;
        self.members.1 = self.members.1.max(self.members.0);
    }

    fn comma(&mut self) {
        self.deepest = self.depth();
        (self.chain, self.inner, self.members) = (0, 0, (0, 0));
    }

    fn depth(&self) -> usize {
        self.deepest.max(self.chain + self.inner + self.members.1)
    }
}

/// Where each policy begins and how deep it is at most. What is no policy has a depth, too.
fn depths(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut outer, mut level) = (Vec::<Level>::new(), Level::default());
    let mut start = None;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let next = bytes.peek().map(|(_, byte)| *byte);
        if byte.is_ascii_whitespace() {
            continue;
        }
        if byte == b'/' && next == Some(b'/') {
            while bytes.next_if(|(_, byte)| *byte != b'\n').is_some() {}
            continue;
        }
        start.get_or_insert(at);
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'(' | b'{' | b'[' => {
                match byte {
                    // Another `when` is another `&&`.
                    b'{' if outer.is_empty() => level.operator(1),
                    b'[' => level.member(),
                    _ => {}
                }
                outer.push(std::mem::take(&mut level));
            }
            b')' | b'}' | b']' => close(&mut outer, &mut level),
            b',' => level.comma(),
            b'.' => level.member(),
            b'|' | b'&' => {
                let _ = bytes.next_if(|(_, next)| *next == byte);
                level.operator(1);
            }
            b'+' | b'-' | b'*' => level.operator(1),
            b'=' | b'<' | b'>' | b'!' => level.operator(0),
            b';' if outer.is_empty() => {
                let level = std::mem::take(&mut level);
                found.extend(start.take().map(|start| (start, level.depth())));
            }
            _ if is_word(byte) => {
                let mut end = at + 1;
                while bytes.next_if(|(_, byte)| is_word(*byte)).is_some() {
                    end += 1;
                }
                if text.get(at..end) == Some("if") {
                    level.operator(1);
                }
            }
            _ => {}
        }
    }
    while !outer.is_empty() {
        close(&mut outer, &mut level);
    }
    found.extend(start.map(|start| (start, level.depth())));
    found
}

fn close(outer: &mut Vec<Level>, level: &mut Level) {
    if let Some(mut parent) = outer.pop() {
        parent.inner = parent.inner.max(level.depth() + 1);
        *level = parent;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests;
