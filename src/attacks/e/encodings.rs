//! E4 and E5: encodings in which a byte is not what it looks like, and bytes that are no text at all.

use crate::attacks::frames::{frame, query, query_bytes, sync};
use crate::attacks::{Fence, Harm, Step, Target, Way};

/// A string whose last character ends with the byte of a backslash, and the end of a table behind it. A lexer that knows
/// no such characters sees `\'` and goes on to the next quote.
fn behind(character: &[u8], target: &Target) -> Vec<u8> {
    let rest = target.fill("'; DROP TABLE {schema}.log; --'");
    query_bytes(&[b"SELECT E'", character, rest.as_bytes()].concat())
}

const SJIS: Step = Step::Bytes(|target| behind(b"\x83\x5c", target), 1);
const BIG5: Step = Step::Bytes(|target| behind(b"\xa5\x5c", target), 1);
const GBK: Step = Step::Bytes(|target| behind(b"\x81\x5c", target), 1);
const UHC: Step = Step::Bytes(|target| behind(b"\xb0\xa1", target), 1);

pub(super) const MULTIBYTE: &[Way] = &[
    Way::new("SET client_encoding", Fence::Always, &[Step::Sql("SET client_encoding = 'SJIS'"), SJIS], Harm::Changes),
    Way::new("SET NAMES", Fence::Always, &[Step::Sql("SET NAMES 'SHIFT_JIS_2004'"), SJIS], Harm::Changes),
    Way::new(
        "another name of it",
        Fence::Always,
        &[Step::Sql("SET client_encoding TO ' S-j.I s'"), SJIS],
        Harm::Changes,
    ),
    Way::new("Windows' name of it", Fence::Always, &[Step::Sql("SET client_encoding TO win932"), SJIS], Harm::Changes),
    Way::new("BIG5", Fence::Always, &[Step::Sql("SET client_encoding TO big5"), BIG5], Harm::Changes),
    Way::new("GBK", Fence::Always, &[Step::Sql("SET client_encoding TO GBK"), GBK], Harm::Changes),
    Way::new("GB18030", Fence::Always, &[Step::Sql("SET client_encoding TO gb18030"), GBK], Harm::Changes),
    Way::new("UHC", Fence::Always, &[Step::Sql("SET client_encoding TO UHC"), UHC], Harm::Changes),
    Way::new(
        "set_config",
        Fence::Always,
        &[Step::Sql("SELECT set_config('client_encoding', 'sjis', false)"), SJIS],
        Harm::Changes,
    ),
    Way::new(
        "set_config, bound",
        Fence::Always,
        &[Step::Bound("SELECT set_config($1, $2, false)", &["client_encoding", "sjis"]), SJIS],
        Harm::Changes,
    ),
    Way::new(
        "in one breath",
        Fence::Always,
        &[Step::Bytes(|target| [query("SET client_encoding = SJIS"), behind(b"\x83\x5c", target)].concat(), 2)],
        Harm::Changes,
    ),
    Way::new("a startup parameter", Fence::Always, &[SJIS], Harm::Changes).startup(&[("client_encoding", "SJIS")]),
    Way::new("options", Fence::Always, &[SJIS], Harm::Changes).startup(&[("options", "-c client-encoding=mskanji")]),
    Way::new("the encoding of the role", Fence::Always, &[SJIS], Harm::Changes)
        .setup("ALTER ROLE \"{role}\" SET client_encoding = 'SJIS'")
        .undo("ALTER ROLE \"{role}\" RESET client_encoding"),
];

/// A database that takes any byte for text.
const ANY_BYTE: &str =
    "CREATE DATABASE portcullis_bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'";
const ANY_BYTE_GONE: &str = "DROP DATABASE IF EXISTS portcullis_bytes WITH (FORCE)";

const fn in_any_byte(way: Way) -> Way {
    way.setup(ANY_BYTE).undo(ANY_BYTE_GONE).startup(&[("database", "portcullis_bytes")])
}

pub(super) const NO_TEXT: &[Way] = &[
    in_any_byte(Way::new(
        "a byte that no UTF-8 has",
        Fence::Always,
        &[Step::Bytes(|_| query_bytes(b"SELECT '\xff'"), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "the first half of a character, which would swallow the quote behind it",
        Fence::Always,
        &[Step::Bytes(|_| query_bytes(b"SELECT '\xc3', ' a'"), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "a quote in more bytes than it needs",
        Fence::Always,
        &[Step::Bytes(|_| query_bytes(b"SELECT '\xc0\xa7', ' a'"), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "half of a surrogate pair",
        Fence::Always,
        &[Step::Bytes(|_| query_bytes(b"SELECT '\xed\xa0\x80'"), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "two names that are one once their bytes are replaced",
        Fence::Always,
        &[Step::Bytes(|_| query_bytes(b"SELECT 1 AS \"\xff\", 2 AS \"\xfe\""), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "in a Parse",
        Fence::Always,
        &[Step::Bytes(|_| [frame(b'P', b"\0SELECT '\xff'\0\0\0"), sync()].concat(), 1)],
        Harm::Runs,
    )),
    in_any_byte(Way::new(
        "in the name of a statement",
        Fence::Always,
        &[Step::Bytes(|_| [frame(b'P', b"\xff\0SELECT 1\0\0\0"), sync()].concat(), 1)],
        Harm::Runs,
    )),
];
