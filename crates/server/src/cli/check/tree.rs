//! A tree on a terminal: lines with marks, notes behind them, and what belongs to them below.

use std::fmt::Write as _;

/// Lines longer than this have their note below.
const WIDTH: usize = 118;

/// A line and what is below it.
#[derive(Debug, Default)]
pub(super) struct Node {
    mark: Mark,
    label: String,
    text: String,
    note: Option<String>,
    below: Vec<Node>,
}

/// What stands before a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    #[default]
    None,
    Yes,
    No,
    /// It could not be evaluated.
    Error,
    /// It did not matter.
    Skipped,
}

impl Mark {
    fn sign(self) -> (&'static str, Option<Style>) {
        match self {
            Self::None => ("", None),
            Self::Yes => ("✓ ", Some(Style::Green)),
            Self::No => ("✗ ", Some(Style::Red)),
            Self::Error => ("! ", Some(Style::Red)),
            Self::Skipped => ("· ", Some(Style::Dim)),
        }
    }
}

/// Whether the output is for a terminal that shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    On,
    Off,
}

/// Styles, as numbers of ANSI escape sequences.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

impl Node {
    /// A line without a label.
    pub(super) fn line(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A line that says what it is about first.
    pub(super) fn labelled(label: &str, text: impl Into<String>) -> Self {
        Self {
            label: label.to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// With a mark before it.
    pub(super) fn marked(mut self, mark: Mark) -> Self {
        self.mark = mark;
        self
    }

    /// With something behind it that is less important.
    pub(super) fn noted(mut self, note: impl Into<String>) -> Self {
        let note = note.into();
        self.note = (!note.is_empty()).then_some(note);
        self
    }

    /// With words before its text.
    pub(super) fn prefixed(mut self, words: &str) -> Self {
        self.text.insert_str(0, words);
        self
    }

    /// With a line below it.
    pub(super) fn push(&mut self, node: Self) {
        self.below.push(node);
    }

    /// With more lines below it.
    pub(super) fn below(&mut self, nodes: impl Iterator<Item = Self>) {
        self.below.extend(nodes);
    }

    /// With a labelled line below it, unless there is nothing to say.
    pub(super) fn tell(&mut self, label: &str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.below.push(Self::labelled(label, text));
        }
    }

    /// True without anything below it.
    pub(super) fn is_bare(&self) -> bool {
        self.below.is_empty()
    }
}

/// Draws the trees one below the other.
pub(super) fn draw(nodes: &[Node], colours: Colours) -> String {
    let mut drawn = String::new();
    branches(&mut drawn, nodes, "", colours);
    drawn
}

fn branches(drawn: &mut String, nodes: &[Node], before: &str, colours: Colours) {
    let wide = |node: &Node| node.label.chars().count() + node.mark.sign().0.chars().count();
    let labelled = nodes.iter().filter(|node| !node.label.is_empty());
    let width = labelled.map(wide).max().unwrap_or_default();
    for (index, node) in nodes.iter().enumerate() {
        let last = index + 1 == nodes.len();
        let (branch, trunk) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let mut line = String::new();
        let (mark, style) = node.mark.sign();
        line.push_str(&styled(mark, style, colours));
        let mut length = before.chars().count() + 3 + mark.chars().count();
        if !node.label.is_empty() {
            let pad = width + 2 - mark.chars().count();
            let label = format!("{:pad$}", node.label);
            length += label.chars().count();
            line.push_str(&styled(&label, Some(Style::Bold), colours));
        }
        let text = printable(&node.text);
        length += text.chars().count();
        let dim = (node.mark == Mark::Skipped).then_some(Style::Dim);
        line.push_str(&styled(&text, dim, colours));
        let trunk = format!("{before}{}", styled(trunk, Some(Style::Dim), colours));
        let _ = write!(
            drawn,
            "{before}{}{line}",
            styled(branch, Some(Style::Dim), colours)
        );
        if let Some(note) = &node.note {
            let note = printable(note);
            let fits = length + 3 + note.chars().count() <= WIDTH;
            let note = styled(&note, Some(Style::Dim), colours);
            if fits {
                let _ = write!(drawn, "   {note}");
            } else {
                let below = if node.below.is_empty() { "    " } else { "│   " };
                let _ = write!(
                    drawn,
                    "\n{trunk}{}{note}",
                    styled(below, Some(Style::Dim), colours)
                );
            }
        }
        drawn.push('\n');
        branches(drawn, &node.below, &trunk, colours);
    }
}

/// A text in a style, if styles are shown.
pub(super) fn styled(text: &str, style: Option<Style>, colours: Colours) -> String {
    match (style, colours) {
        (Some(style), Colours::On) if !text.is_empty() => format!("\x1b[{}m{text}\x1b[0m", style as u8),
        _ => text.to_owned(),
    }
}

/// Without what could move the cursor or reorder the line.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}
