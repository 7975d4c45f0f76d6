//! What `portcullis block` makes of its arguments; the calls themselves are in `tests/blocks.rs`.

use clap::Parser;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &[&str]) -> Args {
    let line = [&["block"], line].concat();
    Line::try_parse_from(line).unwrap().args
}

fn nothing(_: &str) -> Option<String> {
    None
}

#[test]
fn one_thing_is_asked_at_a_time() {
    for wrong in [
        &[][..],
        &["--hash", "a", "--user", "b"],
        &["--list", "--lift", "a"],
        &["--list", "--for", "2h"],
        &["--hash", "a", "--for", "2h", "--until", "x"],
        &["--token", "secret"],
    ] {
        let line = [&["block"], wrong].concat();
        assert!(Line::try_parse_from(line).is_err(), "{wrong:?}");
    }
    for (line, part) in [
        (&["--hash", "a"][..], "--for 2h"),
        (&["--user", "a", "--for", "2h"], "--reason"),
        (&["--lift", "../metrics"], "--list"),
        (&["--lift", ""], "--list"),
    ] {
        assert!(wish(&args(line)).is_err_and(|told| told.contains(part)), "{line:?}");
    }
    assert!(matches!(wish(&args(&["--lift", "0a1b2c3d4e5f"])), Ok(Wish::Lift(_))));
}

#[test]
fn the_token_goes_to_this_machine_only_or_where_one_insists() {
    for here in [
        "http://127.0.0.1:9127",
        "127.0.0.2:1",
        "http://localhost:9127/",
        "http://[::1]:9127",
        "0.0.0.0:9127",
        "[::]:9127",
    ] {
        assert!(address(&args(&["--list", "--admin", here]), &nothing).is_ok(), "{here}");
    }
    for other in [
        "http://10.0.0.7:9127",
        "http://db.internal:9127",
        "http://localhost.evil.example:9127",
        "http://[2001:db8::1]:9",
    ] {
        let told = address(&args(&["--list", "--admin", other]), &nothing).unwrap_err();
        assert!(told.contains("--insecure") && told.contains("plain HTTP"), "{told}");
        assert!(address(&args(&["--list", "--insecure", "--admin", other]), &nothing).is_ok(), "{other}");
    }
    for wrong in [
        "",
        "9127",
        "http://",
        "https://127.0.0.1:9127",
        "http://127.0.0.1",
        "http://a@127.0.0.1:9127",
        "http://127.0.0.1:0",
        "ftp://x:1",
        "[x]:1",
    ] {
        assert!(address(&args(&["--list", "--insecure", "--admin", wrong]), &nothing).is_err(), "{wrong}");
    }
    let set = |name: &str| (name == "PORTCULLIS_ADMIN").then(|| "127.0.0.1:7".to_owned());
    assert_eq!(address(&args(&["--list"]), &set).unwrap().to_string(), "127.0.0.1:7");
    let both =
        |name: &str| (name == "PORTCULLIS_ADMIN_URL").then(|| "http://127.0.0.1:9".to_owned()).or_else(|| set(name));
    assert_eq!(address(&args(&["--list"]), &both).unwrap().to_string(), "127.0.0.1:9");
    assert_eq!(address(&args(&["--list", "--admin", "[::1]:8"]), &set).unwrap().to_string(), "[::1]:8");
    assert_eq!(address(&args(&["--list"]), &nothing).unwrap().to_string(), "127.0.0.1:9127");
}

#[test]
fn the_token_comes_from_a_file_or_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    fs::write(&file, "of a file\n").unwrap();
    let name = file.display().to_string();
    let env = |names: &'static [&'static str], file: String| {
        move |asked: &str| match asked {
            _ if !names.contains(&asked) => None,
            "PORTCULLIS_ADMIN_TOKEN" => Some("of the environment".to_owned()),
            _ => Some(file.clone()),
        }
    };
    let both = env(&["PORTCULLIS_ADMIN_TOKEN", "PORTCULLIS_ADMIN_TOKEN_FILE"], name.clone());
    let told =
        |line: &[&str], env: &dyn Fn(&str) -> Option<String>| token(&args(line), env).map(|t| t.expose().to_owned());
    assert_eq!(told(&["--list", "--token-file", &name], &both).unwrap(), "of a file");
    assert_eq!(told(&["--list"], &both).unwrap(), "of the environment");
    assert_eq!(told(&["--list"], &env(&["PORTCULLIS_ADMIN_TOKEN_FILE"], name.clone())).unwrap(), "of a file");
    assert!(told(&["--list"], &nothing).unwrap_err().contains("--token-file"));
    assert!(told(&["--list", "--token-file", "/nowhere/at/all"], &both).unwrap_err().contains("can't read"));
    for bad in ["", "\n", "two\nlines"] {
        fs::write(&file, bad).unwrap();
        assert!(told(&["--list", "--token-file", &name], &both).unwrap_err().contains("holds no token"), "{bad:?}");
    }
}
