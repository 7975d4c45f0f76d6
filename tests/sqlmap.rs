//! sqlmap against a little shop that is vulnerable on purpose (`tests/vulnerable/app.py`): directly it dumps the users'
//! passwords; behind the firewall it finds nothing, though the policy allows the application's role to read all of its tables.
//!
//! A part here (`SQLMAP_PLACES`, `SQLMAP_SETTINGS` and `SQLMAP_SECONDS` choose another); `scripts/sqlmap` plays every place of the
//! shop with every setting of [`SETTINGS`]. Loopback only: sqlmap is
//! given neither a proxy nor an answer to "report this online?", and asks for nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::python::interpreter;
use common::{Cluster, Firewall, cluster, firewall};
use portcullis::cli::demo::cluster::Kept;
use portcullis::detect::Technique;

/// Generous: whoever gets past the detector gets everything. Nothing but the signs of an injection refuses what sqlmap asks of
/// the tables.
const POLICY: &str = "policy: shop
applies_to: {users: [shop_app]}
search_path: [public]
allow:
  - {rule: rows, actions: [select, insert, update, delete], tables: ['public.*']}
  - {rule: functions, actions: [call], functions: ['*']}
injection: {observe_at: 3, block_at: 5}
";

/// What stands in `users.password`.
const SECRETS: [&str; 3] = ["mauve7", "ochre4", "umber9"];

/// A place where the shop pastes what a request says into SQL.
struct Target {
    name: &'static str,
    path: &'static str,
    /// What comes with it: sqlmap's options.
    with: &'static [&'static str],
    parameter: &'static str,
}

const fn get(name: &'static str, path: &'static str, parameter: &'static str) -> Target {
    Target { name, path, with: &[], parameter }
}

const fn post(
    name: &'static str,
    path: &'static str,
    with: &'static [&'static str],
    parameter: &'static str,
) -> Target {
    Target { name, path, with, parameter }
}

const TARGETS: &[Target] = &[
    get("number", "/item?id=1", "id"),
    get("string", "/user?name=ada", "name"),
    get("like", "/search?q=lamp", "q"),
    get("order-by", "/list?sort=name", "sort"),
    get("limit", "/page?size=3", "size"),
    get("in-list", "/pick?ids=1%2C2", "ids"),
    get("parentheses", "/offer?below=50&name=lamp", "name"),
    post("login", "/login", &["--data=name=ada&password=wrong"], "name"),
    post("insert-number", "/comment", &["--data=product=1&text=nice"], "product"),
    post("insert-string", "/comment", &["--data=product=1&text=nice"], "text"),
    post("update-set", "/rate", &["--data=stars=4&id=1"], "stars"),
    post("update-where", "/rate", &["--data=stars=4&id=1"], "id"),
    post("cookie", "/me", &["--cookie=session=s-ada", "--level=2"], "session"),
];

/// Ways to run sqlmap: further options. By delays alone it takes half a minute for a password, so one must do there.
///
/// The tampers are those of its own that leave a text that PostgreSQL understands (and some
/// that do not, which people try all the same).
const SETTINGS: &[(&str, &[&str])] = &[
    ("plain", &[]),
    ("thorough", &["--level=5", "--risk=3"]),
    ("boolean", &["--level=3", "--risk=3", "--technique=B"]),
    ("errors", &["--level=3", "--risk=3", "--technique=E"]),
    ("union", &["--level=3", "--risk=3", "--technique=U"]),
    ("stacked", &["--level=3", "--risk=3", "--technique=S", "-C", "password", "--start=1", "--stop=1"]),
    ("time", &["--level=3", "--risk=3", "--technique=T", "-C", "password", "--start=1", "--stop=1"]),
    ("inline", &["--level=3", "--risk=3", "--technique=Q"]),
    ("space2comment", &["--tamper=space2comment"]),
    ("space2morecomment", &["--tamper=space2morecomment"]),
    ("multiplespaces", &["--tamper=multiplespaces"]),
    ("between", &["--tamper=between"]),
    ("equaltolike", &["--tamper=equaltolike"]),
    ("greatest", &["--tamper=greatest"]),
    ("least", &["--tamper=least"]),
    ("sign", &["--tamper=sign"]),
    ("symboliclogical", &["--tamper=symboliclogical"]),
    ("randomcase", &["--tamper=randomcase"]),
    ("randomcomments", &["--tamper=randomcomments"]),
    ("commentbeforeparentheses", &["--tamper=commentbeforeparentheses"]),
    ("charencode", &["--tamper=charencode"]),
    ("unionalltounion", &["--tamper=unionalltounion"]),
    ("0eunion", &["--tamper=0eunion"]),
    ("dunion", &["--tamper=dunion"]),
    ("unionvalues", &["--tamper=unionvalues"]),
    ("dollarquote", &["--tamper=dollarquote"]),
    ("substring2leftright", &["--tamper=substring2leftright"]),
    ("scientific", &["--tamper=scientific"]),
    ("versionedkeywords", &["--tamper=versionedkeywords"]),
    ("several", &["--level=3", "--risk=3", "--tamper=between,randomcase,space2comment,commentbeforeparentheses"]),
];

/// The shop as a process of its own; dropping it ends it.
struct Shop {
    _process: Kept,
    url: String,
}

impl Shop {
    /// Before a port of 127.0.0.1. `name` tells its statements from others in the server's log.
    fn open(port: u16, name: &str, place: &Path) -> Shop {
        let log = place.join(format!("{name}.log"));
        let database = format!("postgres://shop_app@127.0.0.1:{port}/shop?sslmode=disable&application_name={name}");
        let mut shell = Command::new("sh");
        shell.env("DATABASE_URL", database).env("PYTHONUNBUFFERED", "1");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vulnerable/app.py").display().to_string();
        let file = File::create(&log).unwrap();
        let mut process = Kept::spawn(&mut shell, &interpreter(), &[program], "KILL", None, file).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let told = fs::read_to_string(&log).unwrap();
            if let Some(url) = told.lines().find(|line| line.starts_with("http://")) {
                return Shop { _process: process, url: url.to_owned() };
            }
            assert!(!process.ended() && Instant::now() < deadline, "the shop does not open:\n{told}");
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// The answer to `GET`, of which the head is the status line only.
    fn get(&self, path: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        format!("{}\n{body}", head.lines().next().unwrap())
    }
}

/// What a run of sqlmap came to, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// "all tested parameters do not appear to be injectable", and no secret anywhere.
    Nothing,
    /// It found a way in, and brought nothing out.
    Found,
    /// It has a secret.
    Dumped,
    /// It did not end in time, or in another way than these.
    Broken,
}

/// A run of sqlmap.
struct Run {
    outcome: Outcome,
    took: Duration,
    told: String,
}

/// Every file below a directory, as one text.
fn everything(directory: &Path) -> String {
    let mut text = String::new();
    let mut open: Vec<PathBuf> = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            text.push_str(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
    text
}

/// sqlmap, to dump the users by this place of the shop; ended after `most`.
fn sqlmap(shop: &Shop, target: &Target, setting: &[&str], most: Duration) -> Run {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    let program = interpreter().with_file_name("sqlmap");
    assert!(program.is_file(), "no sqlmap at {}: see tests/drivers/requirements.txt", program.display());
    let directory = place.path().display().to_string();
    let mut arguments: Vec<String> = vec![
        format!("--url={}{}", shop.url, target.path),
        format!("--output-dir={directory}/output"),
        format!("--tmp-dir={directory}"),
        "-p".into(),
        target.parameter.into(),
    ];
    // Not --offline: with it sqlmap asks its target for nothing either.
    let fixed = "--batch --disable-coloring --disable-hashing --ignore-proxy --threads=4 --time-sec=1 --dump -D public -T users";
    arguments.extend(fixed.split(' ').map(str::to_owned));
    arguments.extend(target.with.iter().chain(setting).map(|option| (*option).to_owned()));
    let mut shell = Command::new("sh");
    // Nothing of ours: it takes options from SQLMAP_… and a proxy from where it finds one.
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    shell.env("HOME", place.path()).env("LC_ALL", "C.UTF-8").current_dir(place.path());
    let started = Instant::now();
    let mut process = Kept::spawn(&mut shell, &program, &arguments, "KILL", None, File::create(&log).unwrap()).unwrap();
    let code = process.wait(most);
    let took = started.elapsed();
    drop(process);
    let told = fs::read_to_string(&log).unwrap();
    let files = everything(place.path());
    let outcome = if SECRETS.iter().any(|secret| files.contains(secret)) {
        Outcome::Dumped
    } else if told.contains("identified the following injection point") {
        Outcome::Found
    } else if code == Some(0) && told.contains("all tested parameters do not appear to be injectable") {
        Outcome::Nothing
    } else {
        Outcome::Broken
    };
    Run { outcome, took, told }
}

/// The shop twice before one server: directly, and behind the firewall.
struct Stand {
    cluster: Cluster,
    firewall: Firewall,
    direct: Shop,
    behind: Shop,
    _place: tempfile::TempDir,
}

impl Stand {
    fn build() -> Stand {
        let cluster = Cluster::start(cluster::Options {
            sql: include_str!("vulnerable/shop.sql"),
            settings: vec!["log_statement=all".to_owned(), "log_line_prefix=%a ".to_owned()],
            ..cluster::Options::default()
        });
        let firewall = Firewall::start(&cluster, firewall::Options::policy(POLICY));
        let place = tempfile::tempdir().unwrap();
        let direct = Shop::open(cluster.port(), "direct", place.path());
        let behind = Shop::open(firewall.port(), "behind", place.path());
        Stand { cluster, firewall, direct, behind, _place: place }
    }

    /// What an ordinary visitor asks is answered, and answered alike.
    fn visit(&self) {
        let refused = || self.firewall.metric("portcullis_statements_total", &[("verdict", "refuse")]);
        let before = refused();
        for path in [
            "/item?id=2",
            "/user?name=grace",
            "/search?q=lamp",
            "/search?q=select%20a%20lamp%20or%20two",
            "/list?sort=name",
            "/list?sort=price%20DESC",
            "/page?size=4",
            "/pick?ids=1%2C2%2C3",
            "/offer?below=20&name=torch",
            "/login?name=ada&password=mauve7",
            "/login?name=ada&password=wrong",
            "/comment?product=2&text=bright%20and%20warm%20--%20but%20dear",
            "/rate?stars=5&id=1",
            "/me?session=s-ada",
        ] {
            let answer = self.behind.get(path);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
            assert_eq!(answer, self.direct.get(path), "{path}");
        }
        assert!(self.behind.get("/item?id=2").contains("floor lamp"));
        assert_eq!(refused(), before, "{}", self.firewall.log());
    }

    /// The statements that came to the server by way of the firewall since this byte of its log, each once.
    fn passed(&self, from: usize) -> String {
        let log = self.cluster.log();
        let log = log.get(from..).unwrap_or_default();
        let mut texts: Vec<&str> = Vec::new();
        for (_, text) in log.lines().filter_map(|line| line.split_once("behind LOG:  statement: ")) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts.join("\n")
    }
}

/// Keeps what there is to read about a run that went wrong, and says where.
fn keep(name: &str, contents: &[(&str, &str)]) -> String {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlmap");
    fs::create_dir_all(&place).unwrap();
    let files = contents.iter().map(|(extension, text)| {
        let file = place.join(format!("{name}.{extension}"));
        fs::write(&file, text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(25)..).unwrap_or_default();
        let last: Vec<String> = last.iter().map(|line| line.chars().take(300).collect()).collect();
        format!("{}, which ends:\n{}\n", file.display(), last.join("\n"))
    });
    files.collect()
}

/// Words of an environment variable, or these.
fn chosen(name: &str, default: &str) -> Vec<String> {
    std::env::var(name).unwrap_or_else(|_| default.to_owned()).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn it_dumps_the_passwords_and_behind_the_firewall_it_finds_nothing() {
    let targets = chosen("SQLMAP_PLACES", "number string order-by login insert-string");
    let settings = chosen("SQLMAP_SETTINGS", "plain");
    let most = chosen("SQLMAP_SECONDS", "100").concat().parse().expect("SQLMAP_SECONDS is a number");
    let most = Duration::from_secs(most);
    let all = |chosen: &[String], name: &str| chosen.iter().any(|word| word == name || word == "all");
    for word in &targets {
        assert!(word == "all" || TARGETS.iter().any(|target| target.name == word), "there is no place {word}");
    }
    for word in &settings {
        assert!(word == "all" || SETTINGS.iter().any(|(name, _)| name == word), "there is no setting {word}");
    }

    let stand = Stand::build();
    stand.visit();
    println!("{:16} {:26} {:>18} {:>18}", "place", "setting", "directly", "behind Portcullis");
    let (mut failures, mut dumped) = (Vec::new(), 0);
    for target in TARGETS.iter().filter(|target| all(&targets, target.name)) {
        for (setting, options) in SETTINGS.iter().filter(|(name, _)| all(&settings, name)) {
            let from = stand.cluster.log().len();
            let (direct, behind) = std::thread::scope(|scope| {
                let direct = scope.spawn(|| sqlmap(&stand.direct, target, options, most));
                let behind = sqlmap(&stand.behind, target, options, most);
                (direct.join().unwrap(), behind)
            });
            let cell = |run: &Run| format!("{:?} {:.0} s", run.outcome, run.took.as_secs_f64());
            println!("{:16} {setting:26} {:>18} {:>18}", target.name, cell(&direct), cell(&behind));
            dumped += u32::from(direct.outcome == Outcome::Dumped);
            if *setting == "plain" && direct.outcome != Outcome::Dumped {
                let read = keep(&format!("{}-{setting}-directly", target.name), &[("log", &direct.told)]);
                failures.push(format!("{}, {setting}: directly {:?}\n{read}", target.name, direct.outcome));
            }
            if behind.outcome != Outcome::Nothing {
                let passed = stand.passed(from);
                let files = [("log", behind.told.as_str()), ("passed.sql", passed.as_str())];
                let read = keep(&format!("{}-{setting}", target.name), &files);
                failures.push(format!("{}, {setting}: behind it {:?}\n{read}", target.name, behind.outcome));
            }
        }
    }
    stand.visit();

    let refused = |technique: &Technique| {
        let labels = [("technique", technique.as_str()), ("verdict", "refuse")];
        stand.firewall.metric("portcullis_injection_attempts_total", &labels)
    };
    for technique in Technique::ALL {
        println!("{:26} {:>8} refused", technique.as_str(), refused(technique));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(dumped > 0, "sqlmap dumped nothing, directly either");
    let seen = Technique::ALL.iter().filter(|technique| refused(technique) > 0.0).count();
    assert!(seen >= 3, "{seen} techniques");
    assert!(
        stand.firewall.metric("portcullis_security_events_total", &[("event_type", "sql_injection_attempt")]) > 0.0
    );
    assert!(stand.firewall.metric("portcullis_refusals_total", &[("rule", "injection")]) > 0.0);
}
