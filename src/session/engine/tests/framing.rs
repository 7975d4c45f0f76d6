//! Where one message ends and the next begins: nothing that a client or a server does to the bytes changes a verdict, and a
//! refused frame becomes one frame that the server answers as it would have answered the refused one.

use proptest::prelude::*;

use super::*;

/// Allowed and refused, both protocols, well-formed and not.
fn transcript() -> Vec<u8> {
    [
        query("SELECT 1"),
        query("DROP TABLE t"),
        parse("s", "SELECT set_config($1, $2, true)"),
        bind("", "s", &["app.x", "ä"]),
        execute(""),
        bind("", "s", &["role", "b"]),
        execute(""),
        sync(),
        frame(b'd', b"x"),
        parse("t", "DROP TABLE t"),
        sync(),
        frame(b'Q', b"SELECT 1\0DROP\0"),
        frame(b'F', &[0, 0, 8, 30, 0, 0, 0, 0, 0, 0]),
        query("SELECT 2"),
    ]
    .concat()
}

/// What goes to the server if the bytes come in these pieces, with references that say nothing.
fn sent(pieces: &[&[u8]]) -> Vec<u8> {
    let mut session = Session::new(SHOP);
    let (mut out, mut waiting, mut skip) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        waiting.extend(*piece);
        loop {
            let skipped = skip.min(waiting.len());
            waiting.drain(..skipped);
            skip -= skipped;
            let mut insert = Vec::new();
            let Look { pass, then } = session.engine.client(&waiting, &mut insert);
            out.extend(waiting.drain(..pass));
            out.extend(insert);
            match then {
                Then::More { .. } => break,
                Then::Replace { skip: more } => skip = more,
                Then::End(end) => panic!("{end}"),
            }
        }
    }
    assert!(waiting.is_empty() && skip == 0);
    unnamed(&out)
}

/// References are random.
fn unnamed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for before in [&b"portcullis refused "[..], b"portcullis_"] {
        let places: Vec<usize> =
            bytes.windows(before.len()).enumerate().filter(|(_, w)| *w == before).map(|(at, _)| at).collect();
        for at in places {
            bytes[at + before.len()..][..26].fill(b'#');
        }
    }
    bytes
}

/// The frames of a stream.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(head) = header(bytes).unwrap() {
        let (frame, rest) = bytes.split_at(head.frame());
        frames.push(frame);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

#[test]
fn wherever_segments_end_the_same_bytes_go_out() {
    let transcript = transcript();
    let whole = sent(&[&transcript]);
    let text = String::from_utf8_lossy(&whole).into_owned();
    assert_eq!(text.matches("portcullis refused ").count(), 5, "{text}");
    assert!(!text.contains("DROP") && !text.contains("role"), "{text}");
    for at in 1..transcript.len() {
        let (first, second) = transcript.split_at(at);
        assert!(sent(&[first, second]) == whole, "split at byte {at}");
    }
    for size in [1, 2, 3, 5, 7, 11, 64] {
        let pieces: Vec<&[u8]> = transcript.chunks(size).collect();
        assert!(sent(&pieces) == whole, "in pieces of {size} bytes");
    }
}

#[test]
fn a_refused_frame_becomes_one_frame_that_is_answered_alike() {
    let alphabet: [(Vec<u8>, bool); 8] = [
        (query("SELECT 1"), true),
        (query("DROP TABLE t"), false),
        (parse("", "SELECT 1"), true),
        (parse("", "DROP TABLE t"), false),
        (bind("", "never made", &[]), false),
        (execute("nor this"), false),
        (frame(b'F', &[0, 0, 8, 30, 0, 0, 0, 0, 0, 0]), false),
        (sync(), true),
    ];
    // Answered by a ReadyForQuery of its own, or skipped after an error: that must not change.
    let alone = |kind: u8| matches!(kind, b'Q' | b'F');
    for a in &alphabet {
        for b in &alphabet {
            for c in &alphabet {
                let batch = [a.0.as_slice(), &b.0, &c.0, &sync()].concat();
                let out = Session::new(SHOP).client(&batch).unwrap();
                let (asked, went) = (frames(&batch), frames(&out));
                assert_eq!(asked.len(), went.len(), "{}", String::from_utf8_lossy(&batch));
                for (asked, went) in asked.iter().zip(&went) {
                    assert_eq!(alone(asked[0]), alone(went[0]));
                    assert_eq!(asked[0] == b'S', went[0] == b'S');
                    assert!(asked == went || String::from_utf8_lossy(went).contains("portcullis refused "));
                }
                for (allowed, went) in [a.1, b.1, c.1].into_iter().zip(&went) {
                    // What the server skips anyway may pass, but never a text of SQL that is refused.
                    assert!(!allowed || !String::from_utf8_lossy(went).contains("portcullis refused "));
                    assert!(!String::from_utf8_lossy(went).contains("DROP"));
                }
            }
        }
    }
}

#[test]
fn an_error_without_fields_passes() {
    for body in [&b""[..], b"\0", b"C", b"Mportcullis refused", b"SERROR\0", b"\0\0\0"] {
        let mut session = Session::new(SHOP);
        let poison = session.client(&query("DROP TABLE t")).unwrap();
        assert!(poison.starts_with(b"Q"));
        let error = frame(b'E', body);
        assert_eq!(session.server(&error), error);
        assert_eq!(session.server(&frame(b'Z', b"I")), frame(b'Z', b"I"));
        session.passes(&query("SELECT 1"));
    }
}

/// Frames of any type with any body, most of them of types that exist.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![proptest::sample::select(b"QPBDECFSHdcfXRKZTtnsGHWA123IvN".to_vec()), any::<u8>()];
    let one = (kind, proptest::collection::vec(prop_oneof![0u8..4, any::<u8>(), Just(b'S')], 0..24));
    proptest::collection::vec(one, 0..8)
        .prop_map(|all| all.iter().flat_map(|(kind, body)| frame(*kind, body)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_of_either_side_make_it_panic(
        turns in proptest::collection::vec((any::<bool>(), anything(), proptest::collection::vec(any::<u8>(), 0..8)), 1..6),
    ) {
        let mut engine = engine(SHOP, false);
        for (client, frames, tail) in turns {
            let bytes = [frames, tail].concat();
            let mut rest = bytes.as_slice();
            loop {
                let mut insert = Vec::new();
                let look = if client { engine.client(rest, &mut insert) } else { engine.server(rest, &mut insert) };
                prop_assert!(look.pass <= rest.len());
                rest = &rest[look.pass..];
                match look.then {
                    Then::More { .. } => break,
                    Then::Replace { skip } => rest = &rest[skip.min(rest.len())..],
                    Then::End(_) => return Ok(()),
                }
            }
        }
    }
}
