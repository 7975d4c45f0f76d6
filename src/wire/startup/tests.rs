//! First packets: what they mean, and that no bytes make the reader panic.

use proptest::prelude::*;

use super::*;

fn packet(code: u32, rest: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], rest].concat()
}

fn startup(rest: &[u8]) -> Result<Startup, StartupError> {
    match parse(&packet(3 << 16, rest))? {
        FirstPacket::Startup(startup) => Ok(startup),
        other => panic!("no startup packet: {other:?}"),
    }
}

fn claimed(rest: &[u8]) -> Result<Claimed, StartupError> {
    startup(rest)?.claimed()
}

#[test]
fn lengths_are_the_servers() {
    assert_eq!(body_length([0, 0, 0, 8]), Ok(4));
    assert_eq!(body_length(10_004u32.to_be_bytes()), Ok(10_000));
    for length in [0u32, 4, 7, 10_005, 0x4745_5420, u32::MAX] {
        let error = body_length(length.to_be_bytes()).unwrap_err();
        assert_eq!((error.clone(), error.sqlstate()), (StartupError::Length(length), None));
    }
}

#[test]
fn encryption_requests_have_no_body() {
    assert_eq!(parse(&SSL_REQUEST[4..]), Ok(FirstPacket::SslRequest));
    assert_eq!(parse(&packet(80_877_104, b"")), Ok(FirstPacket::GssEncRequest));
    for code in [80_877_103, 80_877_104] {
        let error = parse(&packet(code, b"\x16\x03")).unwrap_err();
        assert_eq!((error.clone(), error.sqlstate()), (StartupError::RequestBody, None));
    }
}

#[test]
fn cancel_keys_have_4_to_256_bytes() {
    for (length, valid) in [(0, false), (3, false), (4, true), (32, true), (256, true), (257, false)] {
        let key = vec![7u8; length];
        let body = [&9u32.to_be_bytes()[..], &key].concat();
        match parse(&packet(80_877_102, &body)) {
            Ok(FirstPacket::Cancel(cancel)) => {
                assert!(valid);
                assert_eq!((cancel.pid, &cancel.key[..]), (9, &key[..]));
                assert_eq!(encode_cancel(&cancel)[4..], packet(80_877_102, &body));
            }
            Err(StartupError::CancelKeyLength(n)) => assert!(!valid && n == length),
            other => panic!("{length}: {other:?}"),
        }
    }
    assert!(matches!(parse(&packet(80_877_102, b"abc")), Err(StartupError::Length(11))));
}

#[test]
fn a_cancel_key_is_not_printed() {
    let cancel = CancelKey { pid: 7, key: Bytes::from_static(b"secret") };
    assert_eq!(format!("{cancel:?}"), "CancelKey { pid: 7, .. }");
}

#[test]
fn order_spelling_and_duplicates_survive() {
    let body = b"user\0a\0Application_Name\0x y\0options\0-c a=b\0application_name\0\0\0";
    let startup = startup(body).unwrap();
    let names: Vec<_> = startup.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["user", "Application_Name", "options", "application_name"]);
    let pairs = startup.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    assert_eq!(encode_startup(0, pairs)[4..], packet(3 << 16, body));
}

#[test]
fn minor_versions_are_kept_and_other_majors_refused_in_the_servers_words() {
    match parse(&packet((3 << 16) | 9999, b"user\0a\0\0")) {
        Ok(FirstPacket::Startup(startup)) => assert_eq!(startup.minor, 9999),
        other => panic!("{other:?}"),
    }
    let error = parse(&packet(2 << 16, b"whatever")).unwrap_err();
    assert_eq!(error.to_string(), "unsupported frontend protocol 2.0: server supports 3.0 to 3.2");
    assert_eq!(error.sqlstate(), Some("0A000"));
}

#[test]
fn a_layout_that_the_server_refuses_is_refused() {
    for body in [&b""[..], b"user\0a\0", b"user\0a", b"user\0", b"user\0a\0\0x", b"user\0a\0\0\0"] {
        let error = startup(body).unwrap_err();
        assert_eq!((error.clone(), error.sqlstate()), (StartupError::Layout, Some("08P01")), "{body:?}");
    }
    assert_eq!(startup(b"user\0\xff\0\0"), Err(StartupError::NotUtf8));
}

#[test]
fn a_missing_or_empty_database_is_the_users() {
    for body in [&b"user\0a\0\0"[..], b"user\0a\0database\0\0\0", b"database\0a\0user\0a\0\0"] {
        let expected = Claimed { user: "a".into(), database: "a".into(), replication: false };
        assert_eq!(claimed(body), Ok(expected));
    }
    assert_eq!(claimed(b"user\0a\0database\0shop\0\0").unwrap().database, "shop");
}

#[test]
fn who_it_is_must_be_clear() {
    let long = |key: &str, n: usize| [b"user\0a\0".as_slice(), key.as_bytes(), b"\0", &vec![b'x'; n], b"\0\0"].concat();
    let refused = |body: &[u8], expected: StartupError, sqlstate| {
        let error = claimed(body).unwrap_err();
        assert_eq!((&error, error.sqlstate()), (&expected, Some(sqlstate)));
    };
    refused(b"\0", StartupError::NoUser, "28000");
    refused(b"user\0\0\0", StartupError::NoUser, "28000");
    // Keys compare exactly: this one is a setting, whatever the server makes of it.
    refused(b"USER\0a\0\0", StartupError::NoUser, "28000");
    refused(b"user\0a\0user\0a\0\0", StartupError::Twice("user"), "28000");
    refused(b"user\0a\0database\0b\0database\0c\0\0", StartupError::Twice("database"), "28000");
    refused(b"user\0a\0replication\0true\0replication\0false\0\0", StartupError::Twice("replication"), "28000");
    refused(&long("database", 64), StartupError::NameTooLong("database"), "28000");
    assert_eq!(claimed(&long("database", 63)).unwrap().database.len(), 63);
    let user = [b"user\0".as_slice(), &[b'x'; 64], b"\0\0"].concat();
    refused(&user, StartupError::NameTooLong("user"), "28000");
}

#[test]
fn replication_is_read_as_the_server_reads_it() {
    let replication = |value: &str| {
        let body = [b"user\0a\0replication\0".as_slice(), value.as_bytes(), b"\0\0"].concat();
        claimed(&body).map(|claimed| (claimed.replication, claimed.database))
    };
    for physical in ["true", "TRUE", "t", "tru", "yes", "y", "on", "1"] {
        assert_eq!(replication(physical), Ok((true, String::new())), "{physical}");
    }
    for none in ["false", "f", "no", "n", "off", "of", "0"] {
        assert_eq!(replication(none), Ok((false, "a".into())), "{none}");
    }
    assert_eq!(replication("database"), Ok((true, "a".into())));
    for wrong in ["", "o", "2", "Database", "maybe", "true "] {
        let error = replication(wrong).unwrap_err();
        assert_eq!((error.clone(), error.sqlstate()), (StartupError::Replication(wrong.into()), Some("22023")));
    }
}

#[test]
fn a_negotiation_reads_back() {
    let negotiation = Negotiation { version: 3 << 16, unsupported: vec!["_pq_.a".into(), "_pq_.b".into()] };
    let frame = negotiation.encode();
    assert_eq!(frame[0], b'v');
    assert_eq!(frame[1..5], (u32::try_from(frame.len()).unwrap() - 1).to_be_bytes());
    assert_eq!(Negotiation::parse(&frame[5..]), Some(negotiation));
    assert_eq!(Negotiation::parse(b"\0\x03\0\0\0\0\0\x02a\0"), None);
    assert_eq!(Negotiation::parse(b"\0\x03\0\0\xff\xff\xff\xff"), None);
    assert_eq!(Negotiation::parse(b"\0\x03\0\0\0\0\0\0x"), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = Negotiation::parse(&bytes);
        let _ = startup(&bytes).and_then(|startup| startup.claimed());
    }

    #[test]
    fn what_is_written_reads_back(
        minor: u16,
        parameters in proptest::collection::vec(("[a-zA-Z_.]{1,12}", "[^\0]{0,20}"), 0..8),
    ) {
        let pairs = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let written = encode_startup(minor, pairs);
        prop_assert_eq!(body_length([written[0], written[1], written[2], written[3]]).unwrap(), written.len() - 4);
        prop_assert_eq!(parse(&written[4..]), Ok(FirstPacket::Startup(Startup { minor, parameters })));
    }
}
