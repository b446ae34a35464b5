//! The parts of a record, one after the other in a buffer: quick to copy, and read again in the same order.

use std::borrow::Cow;

/// Appends parts.
pub(super) trait Parts {
    fn put_number(&mut self, number: u64);
    fn put_text(&mut self, text: &str);
    /// What `write` appends, as one text or one record.
    fn put_written(&mut self, write: impl FnOnce(&mut Self));
    fn put_maybe(&mut self, text: Option<&str>);
    fn put_texts<T: AsRef<str>>(&mut self, texts: &[T]);
}

/// Stands where the length of a text would be, for none.
const NONE: u32 = u32::MAX;

impl Parts for Vec<u8> {
    fn put_number(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn put_text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).unwrap_or(NONE);
        self.extend_from_slice(&length.to_le_bytes());
        if length != NONE {
            self.extend_from_slice(text.as_bytes());
        }
    }

    fn put_written(&mut self, write: impl FnOnce(&mut Self)) {
        let begun = self.len();
        self.extend_from_slice(&[0; 4]);
        write(self);
        let length = u32::try_from(self.len() - begun - 4).unwrap_or(NONE);
        if let Some(place) = self.get_mut(begun..begun + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }

    fn put_maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.put_text(text),
            None => self.extend_from_slice(&NONE.to_le_bytes()),
        }
    }

    fn put_texts<T: AsRef<str>>(&mut self, texts: &[T]) {
        self.put_number(texts.len() as u64);
        for text in texts {
            self.put_text(text.as_ref());
        }
    }
}

/// Takes parts; `None` when there are no more.
pub(super) struct Taken<'a, 'b>(pub(super) &'b mut &'a [u8]);

impl<'a> Taken<'a, '_> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        *self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    /// A record of other parts.
    pub(super) fn record(&mut self) -> Option<&'a [u8]> {
        self.bytes()?
    }

    pub(super) fn maybe(&mut self) -> Option<Option<&'a str>> {
        match self.bytes()? {
            None => Some(None),
            Some(text) => std::str::from_utf8(text).ok().map(Some),
        }
    }

    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        let (length, rest) = self.0.split_first_chunk()?;
        *self.0 = rest;
        let length = u32::from_le_bytes(*length);
        if length == NONE {
            return Some(None);
        }
        let (bytes, rest) = rest.split_at_checked(length as usize)?;
        *self.0 = rest;
        Some(Some(bytes))
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
}
