//! What a single byte or character may do in a path.
//!
//! Beyond ASCII the question is whether anything behind the proxy could turn the character into ASCII, drop it, or
//! show it as structure. Letters and digits that merely resemble punctuation (`ノ`, `٠`) are names and pass, and so
//! does the ideographic full stop.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_public_assigned;

use super::PathRefusal;

/// What a byte is in a path, as it stands or decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Stands for itself: unreserved, sub-delims without `;`, `:` and `@` (RFC 3986 section 3.3), but for the dot.
    Plain,
    /// Stands for itself, but not everywhere.
    Dot,
    /// Ends a segment.
    Slash,
    /// Begins an escape.
    Percent,
    /// Stands as `%20`, inside a segment.
    Blank,
    /// Visible, but only ever encoded.
    Encoded,
    /// Part of a character; only ever encoded.
    NonAscii,
    /// Never in a path, however spelled: `\ ; # ?`.
    Reserved,
    /// Never in a path, however spelled: controls and DEL.
    Control,
}

static CLASSES: [Class; 256] = classes();

impl Class {
    pub(super) fn of(byte: u8) -> Self {
        CLASSES.get(usize::from(byte)).copied().unwrap_or(Self::Control)
    }
}

const fn classes() -> [Class; 256] {
    let mut table = [Class::Control; 256];
    let mut rest = table.as_mut_slice();
    let mut byte = 0_u8;
    while let Some((class, tail)) = rest.split_first_mut() {
        *class = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
            b'!' | b'$' | b'&'..=b',' | b'=' | b':' | b'@' => Class::Plain,
            b'.' => Class::Dot,
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            b' ' => Class::Blank,
            b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Encoded,
            b'\\' | b';' | b'#' | b'?' => Class::Reserved,
            0x00..=0x1F | 0x7F => Class::Control,
            0x80..=0xFF => Class::NonAscii,
        };
        rest = tail;
        byte = byte.wrapping_add(1);
    }
    table
}

/// Collects the bytes of one non-ASCII character, and judges it when it is whole.
#[derive(Default)]
pub(super) struct Utf8 {
    bytes: [u8; 4],
    length: usize,
}

impl Utf8 {
    pub(super) fn is_open(&self) -> bool {
        self.length > 0
    }

    pub(super) fn push(&mut self, byte: u8) -> Result<(), PathRefusal> {
        *self.bytes.get_mut(self.length).ok_or(PathRefusal::NotUtf8)? = byte;
        self.length += 1;
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.length = 0;
                text.chars().try_for_each(judge)
            }
            // Well-formed so far, but not yet complete.
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(PathRefusal::NotUtf8),
        }
    }

    pub(super) fn end(&self) -> Result<(), PathRefusal> {
        if self.is_open() {
            Err(PathRefusal::NotUtf8)
        } else {
            Ok(())
        }
    }
}

/// Refuses the non-ASCII characters that somebody behind the proxy may read as another one, or not at all.
pub(super) fn judge(c: char) -> Result<(), PathRefusal> {
    if listed(INVISIBLE, c) {
        Err(PathRefusal::Invisible(c))
    } else if listed(LOOKALIKE, c) {
        Err(PathRefusal::Lookalike(c))
    } else if CASED.contains(&c) || std::iter::once(c).nfkc().any(|folded| folded.is_ascii()) {
        Err(PathRefusal::FoldsToAscii(c))
    } else if !is_public_assigned(c) {
        Err(PathRefusal::Unassigned(c))
    } else {
        Ok(())
    }
}

fn listed(ranges: &[(char, char)], c: char) -> bool {
    let following = ranges.partition_point(|&(_, last)| last < c);
    ranges.get(following).is_some_and(|&(first, _)| first <= c)
}

/// Those that compatibility normalisation leaves alone, but whose simple upper or lower case is an ASCII letter
/// (Go's `strings.ToLower`, Java's `equalsIgnoreCase`).
const CASED: [char; 2] = [
    '\u{0130}', // LATIN CAPITAL LETTER I WITH DOT ABOVE
    '\u{0131}', // LATIN SMALL LETTER DOTLESS I
];

/// Cc, Cf, Zs, Zl and Zp, everything Default_Ignorable_Code_Point, and what is drawn as nothing. Sorted.
const INVISIBLE: &[(char, char)] = &[
    ('\u{0080}', '\u{00A0}'),   // C1 controls, NO-BREAK SPACE
    ('\u{00AD}', '\u{00AD}'),   // SOFT HYPHEN
    ('\u{034F}', '\u{034F}'),   // COMBINING GRAPHEME JOINER
    ('\u{0600}', '\u{0605}'),   // ARABIC NUMBER SIGN to ARABIC NUMBER MARK ABOVE
    ('\u{061C}', '\u{061C}'),   // ARABIC LETTER MARK
    ('\u{06DD}', '\u{06DD}'),   // ARABIC END OF AYAH
    ('\u{070F}', '\u{070F}'),   // SYRIAC ABBREVIATION MARK
    ('\u{0890}', '\u{0891}'),   // ARABIC POUND MARK ABOVE, ARABIC PIASTRE MARK ABOVE
    ('\u{08E2}', '\u{08E2}'),   // ARABIC DISPUTED END OF AYAH
    ('\u{115F}', '\u{1160}'),   // HANGUL CHOSEONG FILLER, HANGUL JUNGSEONG FILLER
    ('\u{1680}', '\u{1680}'),   // OGHAM SPACE MARK
    ('\u{17B4}', '\u{17B5}'),   // KHMER VOWEL INHERENT AQ, KHMER VOWEL INHERENT AA
    ('\u{180B}', '\u{180F}'),   // MONGOLIAN FREE VARIATION SELECTORS, MONGOLIAN VOWEL SEPARATOR
    ('\u{2000}', '\u{200F}'),   // EN QUAD to ZERO WIDTH SPACE, joiners, direction marks
    ('\u{2028}', '\u{202F}'),   // LINE SEPARATOR, PARAGRAPH SEPARATOR, embeddings, NARROW NO-BREAK SPACE
    ('\u{205F}', '\u{206F}'),   // MEDIUM MATHEMATICAL SPACE, WORD JOINER, invisible operators, isolates
    ('\u{2800}', '\u{2800}'),   // BRAILLE PATTERN BLANK
    ('\u{3000}', '\u{3000}'),   // IDEOGRAPHIC SPACE
    ('\u{3164}', '\u{3164}'),   // HANGUL FILLER
    ('\u{FE00}', '\u{FE0F}'),   // VARIATION SELECTOR-1 to -16
    ('\u{FEFF}', '\u{FEFF}'),   // ZERO WIDTH NO-BREAK SPACE
    ('\u{FFA0}', '\u{FFA0}'),   // HALFWIDTH HANGUL FILLER
    ('\u{FFF0}', '\u{FFFD}'),   // interlinear annotation, OBJECT REPLACEMENT CHARACTER, REPLACEMENT CHARACTER
    ('\u{110BD}', '\u{110BD}'), // KAITHI NUMBER SIGN
    ('\u{110CD}', '\u{110CD}'), // KAITHI NUMBER SIGN ABOVE
    ('\u{13430}', '\u{1343F}'), // EGYPTIAN HIEROGLYPH format controls
    ('\u{16FE4}', '\u{16FE4}'), // KHITAN SMALL SCRIPT FILLER
    ('\u{1BCA0}', '\u{1BCA3}'), // SHORTHAND FORMAT controls
    ('\u{1D159}', '\u{1D159}'), // MUSICAL SYMBOL NULL NOTEHEAD
    ('\u{1D173}', '\u{1D17A}'), // MUSICAL SYMBOL BEGIN BEAM to MUSICAL SYMBOL END PHRASE
    ('\u{E0000}', '\u{E0FFF}'), // tags, VARIATION SELECTOR-17 to -256
];

/// Marks and symbols that show as `/`, `\` or `.`, or become one when a code page is applied. Sorted. The fullwidth
/// and small forms and the dot leaders are not here: they normalise to ASCII.
const LOOKALIKE: &[(char, char)] = &[
    ('\u{00A5}', '\u{00A5}'),   // YEN SIGN: the backslash of Japanese code pages
    ('\u{0337}', '\u{0338}'),   // COMBINING SHORT SOLIDUS OVERLAY, COMBINING LONG SOLIDUS OVERLAY
    ('\u{0701}', '\u{0702}'),   // SYRIAC SUPRALINEAR FULL STOP, SYRIAC SUBLINEAR FULL STOP
    ('\u{1735}', '\u{1736}'),   // PHILIPPINE SINGLE PUNCTUATION, PHILIPPINE DOUBLE PUNCTUATION
    ('\u{2041}', '\u{2041}'),   // CARET INSERTION POINT
    ('\u{2044}', '\u{2044}'),   // FRACTION SLASH
    ('\u{20A9}', '\u{20A9}'),   // WON SIGN: the backslash of Korean code pages
    ('\u{20E5}', '\u{20E5}'),   // COMBINING REVERSE SOLIDUS OVERLAY
    ('\u{20EB}', '\u{20EB}'),   // COMBINING LONG DOUBLE SOLIDUS OVERLAY
    ('\u{2215}', '\u{2216}'),   // DIVISION SLASH, SET MINUS
    ('\u{244A}', '\u{244A}'),   // OCR DOUBLE BACKSLASH
    ('\u{2571}', '\u{2572}'),   // BOX DRAWINGS LIGHT DIAGONALS
    ('\u{27CB}', '\u{27CB}'),   // MATHEMATICAL RISING DIAGONAL
    ('\u{27CD}', '\u{27CD}'),   // MATHEMATICAL FALLING DIAGONAL
    ('\u{29F5}', '\u{29F9}'),   // REVERSE SOLIDUS OPERATOR, SOLIDUS WITH OVERBAR to BIG REVERSE SOLIDUS
    ('\u{2AFB}', '\u{2AFB}'),   // TRIPLE SOLIDUS BINARY RELATION
    ('\u{2AFD}', '\u{2AFD}'),   // DOUBLE SOLIDUS OPERATOR
    ('\u{2E4A}', '\u{2E4A}'),   // DOTTED SOLIDUS
    ('\u{2F02}', '\u{2F03}'),   // KANGXI RADICAL DOT, KANGXI RADICAL SLASH
    ('\u{3033}', '\u{3035}'),   // VERTICAL KANA REPEAT MARK HALVES
    ('\u{31D3}', '\u{31D4}'),   // CJK STROKE SP, CJK STROKE D
    ('\u{A60E}', '\u{A60E}'),   // VAI FULL STOP
    ('\u{10A50}', '\u{10A50}'), // KHAROSHTHI PUNCTUATION DOT
    ('\u{1D16D}', '\u{1D16D}'), // MUSICAL SYMBOL COMBINING AUGMENTATION DOT
    ('\u{1D20F}', '\u{1D20F}'), // GREEK VOCAL NOTATION SYMBOL-16
    ('\u{1D23A}', '\u{1D23B}'), // GREEK INSTRUMENTAL NOTATION SYMBOL-47, -48
    ('\u{1F67C}', '\u{1F67D}'), // VERY HEAVY SOLIDUS, VERY HEAVY REVERSE SOLIDUS
];
