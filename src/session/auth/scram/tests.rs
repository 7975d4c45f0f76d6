//! RFC 7677's own exchange, the two cores against each other and against another library, and what a client may not say.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use postgres_protocol::password;

use super::client::{Begun, Binding, ClientError};
use super::server::{Exchange, Proof, Secret, Violation};
use super::*;
use crate::session::auth::{SCRAM, SCRAM_PLUS};

/// RFC 7677 §3: user `user`, password `pencil`.
const RFC_FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const RFC_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const RFC_CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const RFC_FINAL: &[u8] =
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const RFC_LAST: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
/// The same password as PostgreSQL keeps it with that salt: StoredKey and ServerKey reckoned from the RFC's exchange by PBKDF2.
const RFC_VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

const END_POINT: &[u8] = b"the hash of a certificate";

fn verifier(text: &str) -> Verifier {
    Verifier::parse(text).unwrap()
}

fn challenge(end_point: Option<&[u8]>, bound: bool, message: &[u8]) -> Result<server::Challenged, Violation> {
    let exchange = Exchange::new(verifier(RFC_VERIFIER).into(), end_point.map(<[u8]>::to_vec));
    exchange.challenge(bound, message, RFC_NONCE)
}

/// The keys that a client with this password gives away.
fn keys(password: &[u8], secret: Secret) -> Option<Keys> {
    let mut client = ScramSha256::new(password, ChannelBinding::unsupported());
    let challenged = Exchange::new(secret, None).challenge(false, client.message(), &nonce()).unwrap();
    client.update(challenged.message().as_bytes()).unwrap();
    match challenged.check(client.message()).unwrap() {
        Proof::Good { keys, last } => {
            client.finish(last.as_bytes()).unwrap();
            Some(keys)
        }
        Proof::Bad => None,
    }
}

#[test]
fn the_exchange_of_rfc_7677_gives_its_very_messages() {
    let challenged = challenge(None, false, RFC_FIRST).unwrap();
    assert_eq!(challenged.message(), RFC_CHALLENGE);
    let Proof::Good { keys, last } = challenged.check(RFC_FINAL).unwrap() else { panic!("the proof is good") };
    assert_eq!(last, RFC_LAST);
    assert!(same(&hash(&keys.client_key), &keys.verifier.stored_key));
}

#[test]
fn the_keys_of_rfc_7677_make_its_very_proof_and_know_its_server() {
    let Proof::Good { keys, .. } = challenge(None, false, RFC_FIRST).unwrap().check(RFC_FINAL).unwrap() else {
        panic!()
    };
    // Our client names no user in its message, so the signed text differs from the RFC's, and with it the proof: the server
    // core is asked whether it is good.
    for (binding, end_point) in
        [(Binding::Unable, None), (Binding::NotOffered, None), (Binding::EndPoint(END_POINT.to_vec()), Some(END_POINT))]
    {
        let bound = end_point.is_some();
        let begun = Begun::new(&keys, binding, "ours".into());
        let challenged = challenge(end_point, bound, begun.message().as_bytes()).unwrap();
        let proven = begun.answer(challenged.message().as_bytes()).unwrap();
        let Proof::Good { last, .. } = challenged.check(proven.message().as_bytes()).unwrap() else {
            panic!("{bound}")
        };
        proven.finish(last.as_bytes()).unwrap();
    }
}

#[test]
fn another_librarys_client_logs_in_with_the_right_password_only() {
    for text in ["pencil", "", "päss wörd", "\u{2168}", "x".repeat(2000).as_str()] {
        let made = password::scram_sha_256(text.as_bytes());
        assert!(keys(text.as_bytes(), verifier(&made).into()).is_some(), "{text}");
        assert!(keys(b"pencil ", verifier(&made).into()).is_none(), "{text}");
    }
    assert!(keys(b"pencil", Secret::mock("app", &[7; 32])).is_none());
    // Not even with the right proof.
    let doomed = Exchange::new(Secret::doomed(verifier(RFC_VERIFIER)), None);
    assert!(matches!(doomed.challenge(false, RFC_FIRST, RFC_NONCE).unwrap().check(RFC_FINAL), Ok(Proof::Bad)));
}

#[test]
fn a_made_up_salt_is_the_same_for_the_same_name_and_looks_like_a_real_one() {
    let salt = |user, process: [u8; 32]| {
        let exchange = Exchange::new(Secret::mock(user, &process), None);
        let challenged = exchange.challenge(false, b"n,,n=,r=x", "y").unwrap();
        let (_, rest) = challenged.message().split_once(",s=").unwrap();
        let (salt, iterations) = rest.split_once(",i=").unwrap();
        assert_eq!((iterations, STANDARD.decode(salt).unwrap().len()), ("4096", 16));
        salt.to_owned()
    };
    assert_eq!(salt("a", [1; 32]), salt("a", [1; 32]));
    assert_ne!(salt("a", [1; 32]), salt("b", [1; 32]));
    assert_ne!(salt("a", [1; 32]), salt("a", [2; 32]));
}

#[test]
fn verifiers_are_read_as_the_server_reads_them() {
    let good = verifier(RFC_VERIFIER);
    assert_eq!((good.iterations, good.salt.as_str()), (4096, "W22ZaJ0SNY7soEsUEjb6gQ=="));
    assert!(!format!("{good:?}").contains("W22Z"));
    for bad in [
        "",
        "pencil",
        "md5aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "SCRAM-SHA-256$",
        &RFC_VERIFIER.replace("4096", "0"),
        &RFC_VERIFIER.replace("4096", "-1"),
        &RFC_VERIFIER.replace("4096", "4294967296"),
        &RFC_VERIFIER.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "not base64"),
        &RFC_VERIFIER.replace("W22ZaJ0SNY7soEsUEjb6gQ==", ""),
        &RFC_VERIFIER.replace("=:", ":"),
        &RFC_VERIFIER.replace("SCRAM-SHA-256", "SCRAM-SHA-1"),
        &format!("{RFC_VERIFIER}:x"),
    ] {
        assert!(Verifier::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn mechanisms_are_offered_where_they_work() {
    let exchange =
        |end_point: Option<&[u8]>| Exchange::new(verifier(RFC_VERIFIER).into(), end_point.map(<[u8]>::to_vec));
    assert_eq!(exchange(None).mechanisms(), [SCRAM]);
    assert_eq!(exchange(Some(END_POINT)).mechanisms(), [SCRAM_PLUS, SCRAM]);
    assert_eq!(exchange(Some(END_POINT)).select(SCRAM_PLUS), Ok(true));
    assert_eq!(exchange(Some(END_POINT)).select(SCRAM), Ok(false));
    for other in [SCRAM_PLUS, b"SCRAM-SHA-1", b"", b"scram-sha-256"] {
        let error = exchange(None).select(other).unwrap_err();
        assert_eq!(
            (error.sqlstate, error.message.as_str()),
            ("08P01", "client selected an invalid SASL authentication mechanism")
        );
    }
}

#[test]
fn a_first_message_is_refused_in_the_servers_words() {
    let (none, plus) = (None, Some(END_POINT));
    let malformed = |detail: &str| ("08P01", "malformed SCRAM message".to_owned(), Some(detail.to_owned()));
    let no_data =
        "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.";
    for (end_point, bound, message, expected) in [
        (none, false, &b""[..], malformed("The message is empty.")),
        (none, false, b"n,,n=,r=x\0", malformed("Message length does not match input length.")),
        (plus, true, b"n,,n=,r=x", malformed(no_data)),
        (plus, true, b"y,,n=,r=x", malformed(no_data)),
        (
            plus,
            false,
            b"y,,n=,r=x",
            (
                "28000",
                "SCRAM channel binding negotiation error".to_owned(),
                Some(
                    "The client supports SCRAM channel binding but thinks the server does not.  However, this server does \
                     support channel binding."
                        .to_owned(),
                ),
            ),
        ),
        (
            none,
            false,
            b"p=tls-server-end-point,,n=,r=x",
            malformed(
                "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding \
                 data.",
            ),
        ),
        (
            plus,
            true,
            b"p=tls-unique,,n=,r=x",
            ("08P01", "unsupported SCRAM channel-binding type \"tls-unique\"".to_owned(), None),
        ),
        (plus, true, b"p,,n=,r=x", malformed("Expected character \"=\" for attribute \"p\".")),
        (none, false, b"q,,n=,r=x", malformed("Unexpected channel-binding flag \"'q'\".")),
        (none, false, b"nn,n=,r=x", malformed("Comma expected, but found character \"'n'\".")),
        (none, false, b"n", malformed("Comma expected, but found character \"0x00\".")),
        (
            none,
            false,
            b"n,a=root,n=,r=x",
            ("0A000", "client uses authorization identity, but it is not supported".to_owned(), None),
        ),
        (none, false, b"n,n=,r=x", malformed("Unexpected attribute \"'n'\" in client-first-message.")),
        (none, false, b"n,,m=x,n=,r=x", ("0A000", "client requires an unsupported SCRAM extension".to_owned(), None)),
        (none, false, b"n,,r=x", malformed("Expected attribute \"n\" but found \"'r'\".")),
        (none, false, b"n,,n=,x=x", malformed("Expected attribute \"r\" but found \"'x'\".")),
        (none, false, b"n,,n=", malformed("Expected attribute \"r\" but found \"0x00\".")),
        (none, false, b"n,,n=,r=\xff", ("08P01", "non-printable characters in SCRAM nonce".to_owned(), None)),
        (none, false, b"n,,n=,r=x,1=y", malformed("Attribute expected, but found invalid character \"'1'\".")),
        (none, false, b"n,,n=,r=x,yy", malformed("Expected character \"=\" for attribute \"y\".")),
    ] {
        let violation = challenge(end_point, bound, message).expect_err(&message.escape_ascii().to_string());
        assert_eq!((violation.sqlstate, violation.message, violation.detail), expected, "{}", message.escape_ascii());
    }
    // An extension that may be ignored is.
    assert!(challenge(none, false, b"n,,n=,r=x,z=z").is_ok());
    assert!(challenge(none, false, b"y,,n=,r=x").is_ok(), "nothing was offered");
    assert!(challenge(plus, false, b"n,,n=,r=x").is_ok(), "nobody must bind");
}

#[test]
fn a_final_message_is_refused_in_the_servers_words() {
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let proof = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let malformed = |detail: &str| ("08P01", "malformed SCRAM message", Some(detail.to_owned()));
    for (message, expected) in [
        (
            format!("c=eSws,r={nonce},{proof}"),
            ("08P01", "unexpected SCRAM channel-binding attribute in client-final-message", None),
        ),
        (
            format!("c=,r={nonce},{proof}"),
            ("08P01", "unexpected SCRAM channel-binding attribute in client-final-message", None),
        ),
        (format!("r={nonce},{proof}"), malformed("Expected attribute \"c\" but found \"'r'\".")),
        (
            format!("c=biws,r=rOprNGfwEbeRWgbNEkqO,{proof}"),
            ("08P01", "invalid SCRAM response", Some("Nonce does not match.".to_owned())),
        ),
        (
            format!("c=biws,r={nonce}x,{proof}"),
            ("08P01", "invalid SCRAM response", Some("Nonce does not match.".to_owned())),
        ),
        (format!("c=biws,r={nonce}"), malformed("Attribute expected, but found end of string.")),
        (format!("c=biws,r={nonce},p=AAAA"), malformed("Malformed proof in client-final-message.")),
        (format!("c=biws,r={nonce},{proof},x=y"), malformed("Garbage found at the end of client-final-message.")),
    ] {
        let violation = challenge(None, false, RFC_FIRST).unwrap().check(message.as_bytes()).expect_err(&message);
        assert_eq!((violation.sqlstate, violation.message.as_str(), violation.detail), expected, "{message}");
    }
    // One wrong bit, and an extension that was not signed.
    for message in [
        format!("c=biws,r={nonce},p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        format!("c=biws,r={nonce},x=y,{proof}"),
    ] {
        let outcome = challenge(None, false, RFC_FIRST).unwrap().check(message.as_bytes());
        assert!(matches!(outcome, Ok(Proof::Bad)), "{message}: {outcome:?}");
    }
}

#[test]
fn another_certificate_is_no_binding() {
    let mut client = ScramSha256::new(b"pencil", ChannelBinding::tls_server_end_point(b"of another".to_vec()));
    let challenged = challenge(Some(END_POINT), true, client.message()).unwrap();
    client.update(challenged.message().as_bytes()).unwrap();
    let violation = challenged.check(client.message()).unwrap_err();
    assert_eq!((violation.sqlstate, violation.message.as_str()), ("28000", "SCRAM channel binding check failed"));
}

#[test]
fn a_server_is_believed_only_with_its_proof() {
    let keys = keys(b"pencil", verifier(RFC_VERIFIER).into()).unwrap();
    let salt = "s=W22ZaJ0SNY7soEsUEjb6gQ==";
    let begin = || Begun::new(&keys, Binding::Unable, "ours".into());
    for (first, expected) in [
        (format!("r=theirs,{salt},i=4096"), ClientError::Nonce),
        (format!("r=ours,{salt},i=4096"), ClientError::Nonce),
        (format!("r=ours\u{7f}x,{salt},i=4096"), ClientError::Malformed),
        (format!("r=oursx,{salt},i=4097"), ClientError::OtherVerifier),
        ("r=oursx,s=AAAA,i=4096".to_owned(), ClientError::OtherVerifier),
        (format!("r=oursx,{salt},i=x"), ClientError::Malformed),
        (format!("r=oursx,{salt}"), ClientError::Malformed),
        (format!("m=x,r=oursx,{salt},i=4096"), ClientError::Malformed),
        ("e=other-error".to_owned(), ClientError::Malformed),
        (String::new(), ClientError::Malformed),
    ] {
        assert_eq!(begin().answer(first.as_bytes()).unwrap_err(), expected, "{first}");
    }
    let first = format!("r=oursx,{salt},i=4096");
    for (last, expected) in [
        (RFC_LAST, ClientError::NoProof),
        ("v=", ClientError::Malformed),
        ("", ClientError::Malformed),
        ("e=invalid-proof", ClientError::Refused("invalid-proof".into())),
    ] {
        let proven = begin().answer(first.as_bytes()).unwrap();
        assert_eq!(proven.finish(last.as_bytes()).unwrap_err(), expected, "{last}");
    }
}
