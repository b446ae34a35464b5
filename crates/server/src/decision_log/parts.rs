//! The parts of a record, one after the other: quick to copy, and read again in the same order. Texts are kept as text, so
//! nobody has to look again whether they are.

use std::borrow::Cow;

/// Many records. Numbers, the lengths of texts among them, are apart from the texts.
#[derive(Debug, Default)]
pub(super) struct Parts {
    numbers: Vec<u64>,
    text: String,
}

/// Stands where the length of a text would be, for none.
const NONE: u64 = u64::MAX;

impl Parts {
    /// About how many bytes there are.
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.numbers) + self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.text.clear();
    }

    /// Appends what `pack` appends as one record, unless there is more than `room` then.
    pub(super) fn put_record(&mut self, room: usize, pack: impl FnOnce(&mut Self)) -> bool {
        let (numbers, text) = (self.numbers.len(), self.text.len());
        self.numbers.extend([0; 2]);
        pack(self);
        let sizes = [self.numbers.len() - numbers - 2, self.text.len() - text];
        let places = self.numbers.iter_mut().skip(numbers);
        places.zip(sizes).for_each(|(to, size)| *to = size as u64);
        let fits = self.size() <= room;
        if !fits {
            self.numbers.truncate(numbers);
            self.text.truncate(text);
        }
        fits
    }

    pub(super) fn put_number(&mut self, number: u64) {
        self.numbers.push(number);
    }

    pub(super) fn put_text(&mut self, text: &str) {
        self.numbers.push(text.len() as u64);
        self.text.push_str(text);
    }

    /// What `write` appends, as one text.
    pub(super) fn put_written(&mut self, write: impl FnOnce(&mut String)) {
        let begun = self.text.len();
        write(&mut self.text);
        self.numbers.push((self.text.len() - begun) as u64);
    }

    pub(super) fn put_maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.put_text(text),
            None => self.numbers.push(NONE),
        }
    }

    pub(super) fn put_texts<T: AsRef<str>>(&mut self, texts: &[T]) {
        self.put_number(texts.len() as u64);
        for text in texts {
            self.put_text(text.as_ref());
        }
    }
}

/// What is left to be taken; `None` when there is no more, or not as much as it says.
#[derive(Clone, Copy)]
pub(super) struct Taken<'a> {
    numbers: &'a [u64],
    text: &'a str,
}

impl<'a> Taken<'a> {
    pub(super) fn of(parts: &'a Parts) -> Self {
        Self {
            numbers: &parts.numbers,
            text: &parts.text,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// About how many bytes there are.
    pub(super) fn size(&self) -> usize {
        size_of_val(self.numbers) + self.text.len()
    }

    /// The next record.
    pub(super) fn record(&mut self) -> Option<Self> {
        let [numbers, text] = [self.length()?, self.length()?];
        let (numbers, rest) = self.numbers.split_at_checked(numbers)?;
        self.numbers = rest;
        let text = self.cut(text)?;
        Some(Self { numbers, text })
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.numbers.split_first()?;
        self.numbers = rest;
        Some(*number)
    }

    pub(super) fn maybe(&mut self) -> Option<Option<&'a str>> {
        match self.number()? {
            NONE => Some(None),
            length => self.cut(usize::try_from(length).ok()?).map(Some),
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        self.maybe().map(Option::unwrap_or_default)
    }

    pub(super) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| one(self)).collect()
    }

    pub(super) fn texts(&mut self) -> Option<Vec<Cow<'a, str>>> {
        self.list(|from| from.text().map(Cow::Borrowed))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn cut(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.text.split_at_checked(length)?;
        self.text = rest;
        Some(text)
    }
}
