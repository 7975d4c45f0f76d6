//! FunctionCall messages in a session: judged by their first four bytes, streamed behind them.

use super::*;

const BLOBS: &str = "
policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: large-objects, actions: [large_object, fastpath], functions: [lo_open, lowrite]}
";

const LO_OPEN: u32 = 952;
const LOWRITE: u32 = 955;
const PG_READ_FILE: u32 = 3826;

/// A session on PostgreSQL 15.
fn on_15(policy: &str) -> Session {
    let mut session = Session::new(policy);
    session.server(&frame(b'S', b"server_version\x0015.20\0"));
    session
}

/// A FunctionCall with binary arguments and result.
fn call(oid: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let mut body = oid.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1]);
    body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend(*argument);
    }
    body.extend([0, 1]);
    frame(b'F', &body)
}

#[test]
fn what_fastpath_and_the_functions_class_allow_passes() {
    let mut session = on_15(BLOBS);
    session.passes(&call(LO_OPEN, &[&[0, 0, 64, 0], &[0, 2, 0, 0]]));
    let (sqlstate, message) = session.refused(&call(PG_READ_FILE, &[b"/etc/passwd"]), b'Q');
    assert_eq!(sqlstate, "42501");
    assert!(message.contains("no rule allows call of pg_catalog.pg_read_file (fastpath)"), "{message}");
    let (sqlstate, message) = session.refused(&call(16_400, &[]), b'Q');
    assert_eq!(sqlstate, "42501");
    assert!(message.contains("function with OID 16400"), "{message}");
    session.passes(&query("SELECT 1"));
}

#[test]
fn on_a_server_of_an_unknown_version_every_oid_is_unknown() {
    assert_eq!(Session::new(BLOBS).refused(&call(LO_OPEN, &[]), b'Q').0, "42501");
    let mut newer = Session::new(BLOBS);
    newer.server(&frame(b'S', b"server_version\x0019beta1\0"));
    assert_eq!(newer.refused(&call(LO_OPEN, &[]), b'Q').0, "42501");
}

#[test]
fn long_arguments_stream_once_the_oid_is_judged() {
    let bytes = call(LOWRITE, &[&[0, 0, 0, 0], &vec![7; 3 << 20]]);
    let mut session = on_15(BLOBS);
    let mut insert = Vec::new();
    assert_eq!(session.engine.client(&bytes[..8], &mut insert), Look { pass: 0, then: Then::More { need: 9 } });
    assert_eq!(session.engine.client(&bytes[..9], &mut insert), Look { pass: 9, then: Then::More { need: 1 } });
    session.passes(&bytes[9..5000]);
    session.passes(&bytes[5000..]);
    session.passes(&query("SELECT 1"));

    let bytes = call(PG_READ_FILE, &[&vec![7; 3 << 20]]);
    let look = session.engine.client(&bytes[..9], &mut insert);
    assert_eq!(look, Look { pass: 0, then: Then::Replace { skip: bytes.len() } });
}

#[test]
fn a_body_without_a_whole_oid_is_malformed() {
    let mut session = on_15(BLOBS);
    for body in [&b""[..], b"\0\0\x03"] {
        assert_eq!(session.refused(&frame(b'F', body), b'Q').0, "08P01");
    }
    session.passes(&query("SELECT 1"));
}
