//! What a file may hold, and what is told of the rest.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

fn scram(text: &str) -> Result<UserList, String> {
    UserList::parse(text, Path::new("users.txt"), Auth::Scram, 100_000).map_err(|error| error.to_string())
}

fn certificate(text: &str) -> Result<UserList, String> {
    UserList::parse(text, Path::new("users.txt"), Auth::Certificate, 100_000).map_err(|error| error.to_string())
}

#[test]
fn pgbouncers_format_is_read() {
    let text = format!(
        "; a comment\n# another\n\n\"app\" \"{VERIFIER}\"\n  \"with \"\"quotes\"\"\"\t\"{VERIFIER}\"   \"2027-01-01\"  \r\n\"grün\" \"{VERIFIER}\" \"infinity\"\n"
    );
    let users = scram(&text).unwrap();
    assert_eq!(users.len(), 3);
    assert_eq!(users.get("app").unwrap().until, Until::Forever);
    assert!(matches!(users.get("app").unwrap().stored, Stored::Scram(_)));
    let until = users.get("with \"quotes\"").unwrap().until;
    assert_eq!(until, Until::Time("2027-01-01T00:00:00Z".parse().unwrap()));
    assert!(users.get("grün").is_some() && users.get("App").is_none());
    let users = certificate("\"app\" \"a \"\"secret\"\" of mine\"\n").unwrap();
    let Stored::Plain(secret) = &users.get("app").unwrap().stored else { panic!("{users:?}") };
    assert_eq!(secret.expose(), "a \"secret\" of mine");
}

#[test]
fn mistakes_are_told_with_their_line_and_without_the_secret() {
    let md5 = format!("\"app\" \"md5{}\"", "0123456789abcdef".repeat(2));
    let many = format!("\"app\" \"{}\"", VERIFIER.replace("4096", "100001"));
    let broken = format!("\"app\" \"{}\"", VERIFIER.replace("=:", ":"));
    for (line, told) in [
        ("app secret", "both in double quotes"),
        ("\"app\"", "both in double quotes (the secret)"),
        ("\"app\" \"secret", "not closed"),
        ("\"app\"\"secret\"", "not closed|(the secret)"),
        ("\"app\" \"secret\"x", "no space between"),
        ("\"\" \"secret\"", "1 to 63 bytes"),
        (&format!("\"{}\" \"secret\"", "x".repeat(64)), "1 to 63 bytes"),
        ("\"app\" \"hunter2\"", "needs the user's SCRAM verifier"),
        ("\"app\" \"\"", "needs the user's SCRAM verifier"),
        (&md5, "an md5 hash serves no login"),
        (&many, "asks for 100001 iterations, `scram_max_iterations` is 100000"),
        (&broken, "the SCRAM verifier is malformed"),
        (&format!("\"app\" \"{VERIFIER}\" \"soon\""), "\"soon\" is no time"),
        (&format!("\"app\" \"{VERIFIER}\" \"infinity\" \"more\""), "behind the third field"),
    ] {
        let error = scram(&format!("; comment\n{line}\n")).unwrap_err();
        assert!(error.starts_with("users.txt:2: "), "{line}: {error}");
        assert!(told.split('|').any(|told| error.contains(told)), "{line}: {error}");
        assert!(!error.contains("hunter2") && !error.contains("W22Z"), "{error}");
    }
    let twice = format!("\"app\" \"{VERIFIER}\"\n").repeat(2);
    assert!(scram(&twice).unwrap_err().contains("users.txt:2: the user \"app\" is there twice"));
    assert!(certificate(&twice).unwrap_err().contains("a verifier is no use"));
    assert!(certificate("\"app\" \"\"").unwrap_err().contains("is empty"));
}

#[test]
fn valid_until_is_read_as_the_server_writes_it() {
    let at = |text: &str| Some(Until::Time(text.parse().unwrap()));
    for (text, expected) in [
        ("infinity", Some(Until::Forever)),
        ("-infinity", Some(Until::Never)),
        ("2027-01-01 00:00:00+00", at("2027-01-01T00:00:00Z")),
        ("2027-01-01 12:30:15.123456+00", at("2027-01-01T12:30:15.123456Z")),
        ("2027-01-01 00:00:00+05:30", at("2026-12-31T18:30:00Z")),
        ("2027-01-01T00:00:00Z", at("2027-01-01T00:00:00Z")),
        ("2027-01-01 00:00:00", at("2027-01-01T00:00:00Z")),
        ("2027-01-01 06:00", at("2027-01-01T06:00:00Z")),
        ("2027-01-01", at("2027-01-01T00:00:00Z")),
        ("0044-03-15 00:00:00+00 BC", Some(Until::Never)),
        ("294276-12-31 23:59:59+00", Some(Until::Forever)),
        ("", None),
        ("soon", None),
        ("2027", None),
        ("2027-13-01", None),
        ("BC", None),
    ] {
        assert_eq!(Until::parse(text), expected, "{text:?}");
    }
    let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let second = jiff::SignedDuration::from_secs(1);
    assert!(!Until::Time(now).is_over(now), "as in the server: at that very time it still is");
    assert!(Until::Time(now - second).is_over(now) && !Until::Time(now + second).is_over(now));
    assert!(Until::Never.is_over(now) && !Until::Forever.is_over(now));
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("users.txt");
    std::fs::write(&path, format!("\"app\" \"{VERIFIER}\"\n")).unwrap();
    let root = rustix::process::geteuid().is_root();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, root), (0o644, false), (0o604, false), (0o660, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = UserList::read(&path, Auth::Scram, 4096);
        assert_eq!(read.is_ok(), good, "{mode:o}: {read:?}");
        if let Err(error) = read {
            assert!(matches!(error, UserFileError::Open(_)) && error.to_string().contains("chmod 0600"), "{error}");
        }
    }
    // What is cut off could be a user who is there twice.
    let long = std::fs::File::create(&path).unwrap();
    long.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    long.set_len(MOST + 1).unwrap();
    let error = UserList::read(&path, Auth::Scram, 4096).unwrap_err();
    assert!(error.to_string().contains("users.txt has more than 67108864 bytes"), "{error}");
    assert!(matches!(read_public(&path), Err(UserFileError::TooLong(_))));
    // A file whose length nobody knows before.
    let endless = read_text(&mut File::open("/dev/zero").unwrap(), 0, &path).unwrap_err();
    assert!(matches!(endless, UserFileError::TooLong(_)), "{endless}");
    let error = UserList::read(&place.path().join("nothing"), Auth::Scram, 4096).unwrap_err();
    assert!(error.to_string().contains("nothing"), "{error}");
}
