//! The client encodings of DESIGN §5's safe list: a byte below 0x80 is always ASCII in them, so that text can't hide a
//! quote inside another character. Bytes are judged exactly as PostgreSQL converts them (its own tables, generated).

mod tables;

use std::borrow::Cow;

/// An encoding that the session lets a client use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    Utf8,
    /// No conversion at all; judged as UTF-8, and refused where it is not.
    SqlAscii,
    Latin1,
    Latin2,
    Latin3,
    Latin4,
    Latin5,
    Latin6,
    Latin7,
    Latin8,
    Latin9,
    Latin10,
    Win1250,
    Win1251,
    Win1252,
    Win1253,
    Win1254,
    Win1255,
    Win1256,
    Win1257,
    Win1258,
    Win866,
    Win874,
    Koi8r,
    Koi8u,
    Iso88595,
    Iso88596,
    Iso88597,
    Iso88598,
}

/// Bytes that are no text in their encoding (SQLSTATE 22021).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid byte 0x{byte:02x} at offset {offset} for encoding {}", .encoding.name())]
pub struct Undecodable {
    pub encoding: Encoding,
    /// 0-based, in bytes.
    pub offset: usize,
    pub byte: u8,
}

/// The longest name the server looks at (`NAMEDATALEN - 1`).
const LONGEST_NAME: usize = 63;

impl Encoding {
    /// The encoding that the server takes a name for (`pg_char_to_encoding` in encnames.c: letters and digits only, in
    /// lower case, then its alias table). `None`: not in the safe list, or unknown to the server.
    pub fn lookup(name: &str) -> Option<Encoding> {
        // The server's isalnum depends on its locale beyond ASCII: such a name is not known here.
        if name.len() > LONGEST_NAME || !name.is_ascii() {
            return None;
        }
        let cleaned: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        let found = tables::ALIASES.binary_search_by(|(alias, _)| (*alias).cmp(&cleaned)).ok()?;
        tables::ALIASES.get(found).map(|(_, encoding)| *encoding)
    }

    /// The server's name for it (`pg_encoding_to_char`).
    pub fn name(self) -> &'static str {
        self.description().0
    }

    /// Reads bytes as the server would.
    ///
    /// # Errors
    /// The first byte that the server refuses.
    pub fn decode<'a>(&self, bytes: &'a [u8]) -> Result<Cow<'a, str>, Undecodable> {
        let table = self.description().1;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) if table.is_none() || text.is_ascii() => return Ok(Cow::Borrowed(text)),
            text => text,
        };
        let Some(table) = table else {
            let offset = text.err().map_or(0, |error| error.valid_up_to());
            return Err(self.undecodable(offset, bytes.get(offset).copied().unwrap_or_default()));
        };
        let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
        for (offset, &byte) in bytes.iter().enumerate() {
            match to_char(table, byte) {
                Some(c) => text.push(c),
                None => return Err(self.undecodable(offset, byte)),
            }
        }
        Ok(Cow::Owned(text))
    }

    /// Writes text of our own; a character that the encoding lacks becomes `?`.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        let Some(table) = self.description().1 else {
            return text.as_bytes().to_vec();
        };
        text.chars().map(|c| to_byte(table, c).unwrap_or(b'?')).collect()
    }

    fn undecodable(self, offset: usize, byte: u8) -> Undecodable {
        Undecodable { encoding: self, offset, byte }
    }

    /// The server's name, and for the single-byte encodings what 0x80 to 0xff mean.
    fn description(self) -> (&'static str, Option<&'static [u16; 128]>) {
        match self {
            Encoding::Utf8 => ("UTF8", None),
            Encoding::SqlAscii => ("SQL_ASCII", None),
            Encoding::Latin1 => ("LATIN1", Some(&tables::LATIN1)),
            Encoding::Latin2 => ("LATIN2", Some(&tables::LATIN2)),
            Encoding::Latin3 => ("LATIN3", Some(&tables::LATIN3)),
            Encoding::Latin4 => ("LATIN4", Some(&tables::LATIN4)),
            Encoding::Latin5 => ("LATIN5", Some(&tables::LATIN5)),
            Encoding::Latin6 => ("LATIN6", Some(&tables::LATIN6)),
            Encoding::Latin7 => ("LATIN7", Some(&tables::LATIN7)),
            Encoding::Latin8 => ("LATIN8", Some(&tables::LATIN8)),
            Encoding::Latin9 => ("LATIN9", Some(&tables::LATIN9)),
            Encoding::Latin10 => ("LATIN10", Some(&tables::LATIN10)),
            Encoding::Win1250 => ("WIN1250", Some(&tables::WIN1250)),
            Encoding::Win1251 => ("WIN1251", Some(&tables::WIN1251)),
            Encoding::Win1252 => ("WIN1252", Some(&tables::WIN1252)),
            Encoding::Win1253 => ("WIN1253", Some(&tables::WIN1253)),
            Encoding::Win1254 => ("WIN1254", Some(&tables::WIN1254)),
            Encoding::Win1255 => ("WIN1255", Some(&tables::WIN1255)),
            Encoding::Win1256 => ("WIN1256", Some(&tables::WIN1256)),
            Encoding::Win1257 => ("WIN1257", Some(&tables::WIN1257)),
            Encoding::Win1258 => ("WIN1258", Some(&tables::WIN1258)),
            Encoding::Win866 => ("WIN866", Some(&tables::WIN866)),
            Encoding::Win874 => ("WIN874", Some(&tables::WIN874)),
            Encoding::Koi8r => ("KOI8R", Some(&tables::KOI8R)),
            Encoding::Koi8u => ("KOI8U", Some(&tables::KOI8U)),
            Encoding::Iso88595 => ("ISO_8859_5", Some(&tables::ISO_8859_5)),
            Encoding::Iso88596 => ("ISO_8859_6", Some(&tables::ISO_8859_6)),
            Encoding::Iso88597 => ("ISO_8859_7", Some(&tables::ISO_8859_7)),
            Encoding::Iso88598 => ("ISO_8859_8", Some(&tables::ISO_8859_8)),
        }
    }
}

fn to_char(table: &[u16; 128], byte: u8) -> Option<char> {
    match byte.checked_sub(0x80) {
        None => Some(char::from(byte)),
        Some(high) => match table.get(usize::from(high)).copied() {
            None | Some(0) => None,
            Some(point) => char::from_u32(u32::from(point)),
        },
    }
}

fn to_byte(table: &[u16; 128], c: char) -> Option<u8> {
    if c.is_ascii() {
        return u8::try_from(c).ok();
    }
    let high = table.iter().position(|&point| u32::from(point) == u32::from(c))?;
    u8::try_from(high + 0x80).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE_BYTE: [Encoding; 27] = [
        Encoding::Latin1,
        Encoding::Latin2,
        Encoding::Latin3,
        Encoding::Latin4,
        Encoding::Latin5,
        Encoding::Latin6,
        Encoding::Latin7,
        Encoding::Latin8,
        Encoding::Latin9,
        Encoding::Latin10,
        Encoding::Win1250,
        Encoding::Win1251,
        Encoding::Win1252,
        Encoding::Win1253,
        Encoding::Win1254,
        Encoding::Win1255,
        Encoding::Win1256,
        Encoding::Win1257,
        Encoding::Win1258,
        Encoding::Win866,
        Encoding::Win874,
        Encoding::Koi8r,
        Encoding::Koi8u,
        Encoding::Iso88595,
        Encoding::Iso88596,
        Encoding::Iso88597,
        Encoding::Iso88598,
    ];

    #[test]
    fn names_as_the_server_takes_them() {
        for (name, expected) in [
            ("UTF8", Some(Encoding::Utf8)),
            ("utf-8", Some(Encoding::Utf8)),
            ("Unicode", Some(Encoding::Utf8)),
            ("'U.T.F 8", Some(Encoding::Utf8)),
            ("SQL_ASCII", Some(Encoding::SqlAscii)),
            ("ISO 8859-1", Some(Encoding::Latin1)),
            ("windows-1252", Some(Encoding::Win1252)),
            ("abc", Some(Encoding::Win1258)),
            ("alt", Some(Encoding::Win866)),
            ("koi8", Some(Encoding::Koi8r)),
            ("win", Some(Encoding::Win1251)),
            ("iso885916", Some(Encoding::Latin10)),
            ("ISO_8859_8", Some(Encoding::Iso88598)),
            ("S-j.I s", None),
            ("win932", None),
            ("mskanji", None),
            ("GBK", None),
            ("BIG5", None),
            ("EUC_JP", None),
            ("latin", None),
            ("utf8é", None),
            ("", None),
        ] {
            assert_eq!(Encoding::lookup(name), expected, "{name:?}");
        }
        assert_eq!(Encoding::lookup(&format!("utf8{}", "-".repeat(59))), Some(Encoding::Utf8));
        assert_eq!(Encoding::lookup(&format!("utf8{}", "-".repeat(60))), None);
        assert!(tables::ALIASES.is_sorted_by_key(|(alias, _)| *alias));
        for encoding in SINGLE_BYTE.into_iter().chain([Encoding::Utf8, Encoding::SqlAscii]) {
            assert_eq!(Encoding::lookup(encoding.name()), Some(encoding));
        }
    }

    #[test]
    fn utf8_is_strict_and_borrowed() {
        for encoding in [Encoding::Utf8, Encoding::SqlAscii] {
            assert!(matches!(encoding.decode("SELECT 'é€𝄞'".as_bytes()), Ok(Cow::Borrowed("SELECT 'é€𝄞'"))));
            for bad in [
                &b"a\x80"[..],
                b"a\xc0\xa7",         // overlong quote
                b"a\xe0\x80\xa7",     // overlong quote, three bytes
                b"a\xed\xa0\x80",     // surrogate
                b"a\xf4\x90\x80\x80", // beyond U+10FFFF
                b"a\xf5\x80\x80\x80",
                b"a\xe2\x82", // cut short
                b"a\xff",
            ] {
                let error = encoding.decode(bad).expect_err("must be refused");
                assert_eq!((error.offset, error.byte), (1, bad[1]), "{bad:?}");
            }
        }
    }

    #[test]
    fn single_byte_encodings_as_postgresql_converts_them() {
        assert_eq!(Encoding::Latin1.decode(b"GEH\xc4LTER").as_deref(), Ok("GEHÄLTER"));
        assert_eq!(Encoding::Latin9.decode(b"\xa4").as_deref(), Ok("€"));
        assert_eq!(Encoding::Win1252.decode(b"\x80").as_deref(), Ok("€"));
        assert_eq!(Encoding::Win1251.decode(b"\xcf\xf0\xe8").as_deref(), Ok("При"));
        assert_eq!(Encoding::Koi8r.decode(b"\xf0\xd2\xc9").as_deref(), Ok("При"));
        assert_eq!(Encoding::Win866.decode(b"\x8f\xe0\xa8").as_deref(), Ok("При"));
        // PostgreSQL's map has no character for it, although WHATWG's has a control character.
        assert_eq!(
            Encoding::Win1252.decode(b"ab\x81"),
            Err(Undecodable { encoding: Encoding::Win1252, offset: 2, byte: 0x81 })
        );
        assert!(matches!(Encoding::Win1252.decode(b"SELECT 1"), Ok(Cow::Borrowed("SELECT 1"))));
    }

    #[test]
    fn every_byte_that_decodes_encodes_back() {
        for encoding in SINGLE_BYTE {
            for byte in 0..=u8::MAX {
                if let Ok(text) = encoding.decode(&[byte]) {
                    assert_eq!(text.chars().count(), 1, "{encoding:?} {byte:#x}");
                    assert_eq!(encoding.encode(&text), [byte], "{encoding:?} {byte:#x}");
                } else {
                    assert!(byte >= 0x80, "{encoding:?} {byte:#x}");
                }
            }
        }
        assert_eq!(Encoding::Latin1.encode("a€b"), b"a?b");
        assert_eq!(Encoding::Utf8.encode("a€b"), "a€b".as_bytes());
    }
}
