//! The table of `sslmode`: what a server does, what certificate it shows, and what comes of it in each mode; beside what libpq
//! makes of the very same servers.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};

use super::*;
use crate::config::Upstream;
use crate::net::tests::{Authority, OK, Script, Scripted};
use crate::net::{CertificateProblem, ConnectError, Leg};
use crate::wire::startup::{SSL_REQUEST, encode_startup};

/// AuthenticationOk, and the end: what psql then says tells which way it came.
const CAME_PLAIN: &[u8] = b"R\0\0\0\x08\0\0\0\0E\0\0\0\x21SFATAL\0VFATAL\0C57P01\0Mplain\0\0";
const CAME_TLS: &[u8] = b"R\0\0\0\x08\0\0\0\0E\0\0\0\x1fSFATAL\0VFATAL\0C57P01\0Mtls\0\0";
/// pg_hba.conf has no line for such connections.
const NO_ENTRY: &[u8] = b"E\0\0\0\x24SFATAL\0VFATAL\0C28000\0Mno entry\0\0";

/// A row for each server. `plain` and `tls`: there is a session, so. A star: the startup packet went over the wire in the clear,
/// which nothing but a session without TLS may do, and the first attempt of `allow`. The rest are errors. A column with `+`
/// has the authority's certificate as `sslrootcert`.
const TABLE: &str = "
server                   | disable | allow   | allow+  | prefer  | prefer+ | require  | require+ | verify-ca+ | verify-full+
no TLS                   | plain*  | plain*  | plain*  | plain*  | plain*  | no TLS   | no TLS   | no TLS     | no TLS
an error                 | plain*  | plain*  | plain*  | error   | error   | error    | error    | error      | error
closes                   | plain*  | plain*  | plain*  | closed  | closed  | closed   | closed   | closed     | closed
silent                   | plain*  | plain*  | plain*  | silent  | silent  | silent   | silent   | silent     | silent
garbage                  | plain*  | plain*  | plain*  | garbage | garbage | garbage  | garbage  | garbage    | garbage
plaintext behind S       | plain*  | plain*  | plain*  | no TLS! | no TLS! | no TLS!  | no TLS!  | no TLS!    | no TLS!
good                     | plain*  | plain*  | plain*  | tls     | tls     | tls      | tls      | tls        | tls
good, TLS only           | no*     | tls*    | tls*    | tls     | tls     | tls      | tls      | tls        | tls
good, plain only         | plain*  | plain*  | plain*  | plain*  | plain*  | no       | no       | no         | no
wrong authority          | plain*  | plain*  | plain*  | tls     | plain*  | tls      | issuer   | issuer     | issuer
wrong authority, TLS only| no*     | tls*    | issuer* | tls     | no*     | tls      | issuer   | issuer     | issuer
wrong name               | plain*  | plain*  | plain*  | tls     | tls     | tls      | tls      | tls        | name
expired                  | plain*  | plain*  | plain*  | tls     | plain*  | tls      | expired  | expired    | expired
not valid yet            | plain*  | plain*  | plain*  | tls     | plain*  | tls      | early    | early      | early
self-signed              | plain*  | plain*  | plain*  | tls     | plain*  | tls      | self     | self       | self
self-signed and named    | plain*  | plain*  | plain*  | tls     | tls     | tls      | tls      | tls        | tls
for clients only         | plain*  | plain*  | plain*  | tls     | plain*  | tls      | purpose  | purpose    | purpose
version 1                | plain*  | plain*  | plain*  | tls     | plain*  | tls      | version  | version    | version
version 1 and named      | plain*  | plain*  | plain*  | tls     | tls     | tls      | tls      | tls        | version
";

/// Where libpq does otherwise, and why that is right for each.
const LIBPQ: &[(&str, &[&str], &str)] = &[
    // webpki reads no X.509 version 1, and no common name, which is all that such a certificate has.
    ("version 1", &["require+", "verify-ca+", "verify-full+", "prefer+"], "tls"),
    ("version 1 and named", &["verify-full+"], "tls"),
];

struct Row {
    name: String,
    cells: Vec<(String, String)>,
}

fn table() -> Vec<Row> {
    let mut lines = TABLE.trim().lines().map(|line| line.split('|').map(|cell| cell.trim().to_owned()));
    let columns: Vec<String> = lines.next().unwrap().skip(1).collect();
    let row = |mut cells: Box<dyn Iterator<Item = String>>| {
        let name = cells.next().unwrap();
        let cells: Vec<(String, String)> = columns.iter().cloned().zip(cells).collect();
        assert_eq!(cells.len(), columns.len(), "{name}");
        Row { name, cells }
    };
    lines.map(|line| row(Box::new(line.collect::<Vec<_>>().into_iter()))).collect()
}

/// A server of the table, and the file of its authority.
struct Servers {
    ours: Authority,
    stranger: Authority,
}

impl Servers {
    fn new() -> Servers {
        Servers { ours: Authority::new("ca"), stranger: Authority::new("stranger") }
    }

    async fn start(&self, name: &str, plain: &'static [u8], tls: &'static [u8]) -> (Scripted, PathBuf) {
        let ours = &self.ours;
        let mut root = ours.root();
        let plain = if name.ends_with("TLS only") { NO_ENTRY } else { plain };
        let tls = if name.ends_with("plain only") { NO_ENTRY } else { tls };
        let script = match name {
            "no TLS" => Script::No,
            "an error" => Script::Error,
            "closes" => Script::Close,
            "silent" => Script::Silence,
            "garbage" => Script::Garbage,
            "plaintext behind S" => Script::PlaintextBehindYes,
            certificate => Script::Tls(match certificate {
                "good" | "good, TLS only" | "good, plain only" => ours.issue("localhost"),
                "wrong authority" | "wrong authority, TLS only" => self.stranger.issue("localhost"),
                "wrong name" => ours.issue("db.elsewhere"),
                "expired" => ours.issue_with("localhost", |params| {
                    params.not_before = date_time_ymd(2001, 1, 1);
                    params.not_after = date_time_ymd(2002, 1, 1);
                }),
                "not valid yet" => ours.issue_with("localhost", |params| params.not_before = date_time_ymd(2999, 1, 1)),
                "self-signed" => ours.self_signed("localhost"),
                "self-signed and named" => {
                    let files = ours.self_signed("localhost");
                    root.clone_from(&files.cert);
                    files
                }
                "for clients only" => ours.issue_with("localhost", |params| {
                    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
                }),
                "version 1" => ours.issue_version_1("localhost"),
                "version 1 and named" => {
                    let files = ours.issue_version_1("localhost");
                    let chain = [&files.cert, &root].map(|file| std::fs::read_to_string(file).unwrap()).concat();
                    root = files.cert.with_extension("root");
                    std::fs::write(&root, chain).unwrap();
                    files
                }
                unknown => panic!("no such server: {unknown}"),
            }),
        };
        (Scripted::start(script, plain, tls).await, root)
    }
}

fn url(server: &Scripted, column: &str, root: &std::path::Path) -> String {
    let root = if column.ends_with('+') { format!("&sslrootcert={}", root.display()) } else { String::new() };
    format!("postgres://localhost:{}?sslmode={}{root}", server.port(), column.trim_end_matches('+'))
}

fn login() -> bytes::BytesMut {
    encode_startup(0, [("user", "app"), ("database", "shop")])
}

/// One word for what came of it.
fn word(outcome: &Result<Answered, Why>) -> &'static str {
    let error = match outcome {
        Ok(answered) if answered.first.kind == b'E' => return "no",
        Ok(answered) => return if answered.destination.leg == Leg::Tls { "tls" } else { "plain" },
        Err(Why::Unreachable { error }) => error,
        Err(_) => return "gone",
    };
    let last = match error {
        ConnectError::Each(all) => all.last().unwrap(),
        one => one,
    };
    match last {
        ConnectError::TlsNotOffered { .. } => "no TLS",
        ConnectError::ErrorBeforeTls { .. } => "error",
        ConnectError::Closed { .. } => "closed",
        ConnectError::Timeout { .. } => "silent",
        ConnectError::NotPostgres { byte: b'H', .. } => "garbage",
        ConnectError::NotTls { .. } => "no TLS!",
        ConnectError::Certificate { problem, .. } => match problem {
            CertificateProblem::UnknownIssuer => "issuer",
            CertificateProblem::WrongName { .. } => "name",
            CertificateProblem::Expired => "expired",
            CertificateProblem::NotYetValid => "early",
            CertificateProblem::SelfSigned => "self",
            CertificateProblem::WrongPurpose => "purpose",
            CertificateProblem::OldVersion => "version",
            _ => "another problem",
        },
        _ => "another error",
    }
}

/// With a star where the startup packet went over the wire in the clear. Before TLS nothing else may but the request for it.
async fn with_star(word: &str, server: Scripted) -> String {
    let received = server.received().await;
    let mut clear = false;
    for one in &received {
        let rest = one.clear.strip_prefix(&SSL_REQUEST[..]).unwrap_or(&one.clear);
        let startup = rest.windows(9).any(|part| part == b"user\0app\0");
        clear |= startup;
        // A record of TLS (handshake, alert), or nothing.
        assert!(startup || matches!(rest.first(), None | Some(0x15 | 0x16)), "{word}: {rest:?}");
    }
    format!("{word}{}", if clear { "*" } else { "" })
}

#[tokio::test]
async fn every_cell_comes_out_as_the_table_says() {
    let servers = Servers::new();
    for Row { name, cells } in table() {
        for (column, expected) in cells {
            let (server, root) = servers.start(&name, OK, OK).await;
            let upstream = Upstream::parse(&url(&server, &column, &root)).unwrap();
            let patience = if name == "silent" { Duration::from_millis(300) } else { Duration::from_secs(20) };
            let connector = Connector::new(&upstream, patience).unwrap();
            let outcome = Route::new(&connector, &login()).answer().await;
            let word = word(&outcome);
            if let Err(Why::Unreachable { error }) = &outcome {
                assert!(error.hint().ends_with('.'), "{error}");
            }
            let said = format!("{outcome:?}");
            drop(outcome);
            assert_eq!(with_star(word, server).await, expected, "{name} under {column}: {said}");
        }
    }
}

/// The libpq that `psql` of this machine loads makes the same of the same servers.
#[tokio::test]
async fn libpq_makes_the_same_of_every_cell() {
    let servers = Servers::new();
    let mut wrong = Vec::new();
    for Row { name, cells } in table() {
        for (column, expected) in cells {
            let otherwise = LIBPQ.iter().find(|(row, columns, _)| *row == name && columns.contains(&column.as_str()));
            let expected = otherwise.map_or(expected, |(_, _, word)| (*word).to_owned());
            let (server, root) = servers.start(&name, CAME_PLAIN, CAME_TLS).await;
            let url = url(&server, &column, &root).replacen("localhost", "app@localhost", 1).replacen('?', "/shop?", 1);
            // Two seconds are the least that libpq waits. A home of its own: certificates lie about in homes.
            let mut psql = Command::new("psql");
            psql.args(["-X", "-w", "-c", "SELECT 1", &format!("{url}&connect_timeout=2&gssencmode=disable")])
                .env_clear()
                .envs(std::env::vars().filter(|(name, _)| matches!(name.as_str(), "PATH" | "LD_LIBRARY_PATH")))
                .env("HOME", servers.ours.root().parent().unwrap())
                .stdin(Stdio::null());
            let output = tokio::task::spawn_blocking(move || psql.output()).await.unwrap();
            let output = output.expect("psql, of PostgreSQL's client programs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let last = said.lines().last().unwrap_or_default();
            let word = if last.ends_with("FATAL:  tls") {
                "tls"
            } else if last.ends_with("FATAL:  plain") {
                "plain"
            } else {
                "fails"
            };
            let session = expected.trim_end_matches('*');
            let expected =
                if matches!(session, "plain" | "tls") { expected.clone() } else { expected.replace(session, "fails") };
            let seen = with_star(word, server).await;
            if seen != expected {
                wrong.push(format!("{name} under {column}: libpq {seen}, the table {expected}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// FATAL: the database system is starting up.
const STARTING: &[u8] = b"E\0\0\0\x24SFATAL\0VFATAL\0C57P03\0Mstarting\0\0";
const WRONG_PASSWORD: &[u8] = b"E\0\0\0\x23SFATAL\0VFATAL\0C28P01\0Mwrong p\0\0";
/// A server that says nothing to a startup packet.
const NOTHING: &[u8] = b"";

#[tokio::test]
async fn the_next_host_is_tried_as_libpq_tries_it_and_no_login_is_repeated() {
    for (first, second, word, tried) in [
        (OK, OK, "plain", false),
        // Also where the last host says so: then it is for the client.
        (STARTING, OK, "plain", true),
        (STARTING, STARTING, "no", true),
        (NOTHING, OK, "plain", true),
        (NOTHING, NOTHING, "silent", true),
        (WRONG_PASSWORD, OK, "no", false),
        (STARTING, WRONG_PASSWORD, "no", true),
    ] {
        let one = Scripted::start(Script::No, first, b"").await;
        let other = Scripted::start(Script::No, second, b"").await;
        let url = format!("postgres://127.0.0.1:{},127.0.0.1:{}?sslmode=disable", one.port(), other.port());
        let patience = if first.is_empty() { Duration::from_millis(200) } else { Duration::from_secs(20) };
        let connector = Connector::new(&Upstream::parse(&url).unwrap(), patience).unwrap();
        let outcome = Route::new(&connector, &login()).answer().await;
        assert_eq!(self::word(&outcome), word, "{outcome:?}");
        drop(outcome);
        assert_eq!((one.received().await.len(), !other.received().await.is_empty()), (1, tried));
    }
}
