//! What a client could tell a proxy by, one by one, directly and through `observe-everything` in the same test: the list is
//! of what poolers in front of PostgreSQL break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use crate::common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

use common::cluster;
use common::tools::{Output, client, run};
use common::wire::{Client, Frame, bind, error, execute, frame, parse, query, startup, sync};
use common::{Cluster, Firewall, firewall};

const SHOP: [(&str, &str); 2] = [("user", "app_rw"), ("database", "shop")];

/// A server without TLS, so that both ways are plain and the server has nothing to say about it.
fn server(settings: &[&str]) -> Cluster {
    let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    Cluster::start(cluster::Options { tls: false, settings, ..cluster::Options::default() })
}

/// The same on both ways: directly, then through a firewall that observes.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(cluster: &Cluster, mut look: impl FnMut(u16) -> T) -> T {
    let firewall = Firewall::start(cluster, firewall::Options::observe());
    let direct = look(cluster.port());
    assert_eq!(look(firewall.port()), direct, "through the firewall (left), directly (right)");
    direct
}

/// Waits until the server has as many sessions of applications as this; panics after ten seconds.
fn await_sessions(cluster: &Cluster, wanted: usize) {
    let mut watch = Client::login(cluster.port(), &[("user", "postgres"), ("database", "postgres")]);
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app_rw'";
    let deadline = Instant::now() + Duration::from_secs(10);
    while watch.value(sql) != wanted.to_string() {
        assert!(Instant::now() < deadline, "{} sessions, not {wanted}", watch.value(sql));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_servers_pid_and_key_are_the_clients() {
    let cluster = server(&[]);
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let mut session = Client::login(firewall.port(), &SHOP);
    let pid = u32::from_be_bytes(session.key[..4].try_into().unwrap());
    assert_eq!(session.value("SELECT pg_backend_pid()"), pid.to_string());
    // The key is the server's own: who sends it there, past the firewall, cancels the session.
    session.send(&query("SELECT pg_sleep(60)"));
    std::thread::sleep(Duration::from_millis(300));
    let mut cancel = Client::connect(cluster.port());
    cancel.send(&[&[0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e][..], &session.key].concat());
    assert_eq!(cancel.rest(), b"");
    assert_eq!(error(&session.until_ready()).field('C'), "57014");
}

/// Everything between the startup packet and ReadyForQuery, but for what is each session's own.
#[test]
fn a_login_is_answered_with_the_same_frames_in_the_same_order() {
    let cluster = server(&["log_min_messages=debug1"]);
    let logins: [&[(&str, &str)]; 9] = [
        &[],
        &[("application_name", "größe \u{1}\t'")],
        &[("client_encoding", "latin1"), ("DateStyle", "German, DMY"), ("TimeZone", "Europe/Vienna")],
        &[("client_encoding", "'utf-8'"), ("extra_float_digits", "3"), ("IntervalStyle", "iso_8601")],
        &[("options", "-c search_path=pg_catalog,public -c work_mem=8MB --geqo=off -c app.name=a\\ b")],
        &[("search_path", "\"$user\", public"), ("statement_timeout", "5s"), ("my.setting", "x")],
        // At which the server sends notices at login.
        &[("client_min_messages", "debug1"), ("options", "-c log_min_messages=debug5")],
        &[("replication", "off"), ("geqo", "off"), ("geqo", "on")],
        &[("standard_conforming_strings", "off"), ("default_transaction_read_only", "on")],
    ];
    for parameters in logins {
        let parameters = [&SHOP[..], parameters].concat();
        same(&cluster, |port| {
            let mut client = Client::connect(port);
            let mut frames = client.try_login(&parameters);
            for frame in &mut frames {
                if frame.kind == b'K' {
                    frame.body.fill(0);
                }
            }
            assert!(frames.last().is_some_and(|frame| matches!(frame.kind, b'Z' | b'E')), "{parameters:?}: {frames:?}");
            frames
        });
    }
}

/// As startup parameters they are what RESET goes back to; SET behind the login would not be.
#[test]
fn startup_parameters_stay_startup_parameters() {
    let cluster = server(&[]);
    let parameters = [
        ("user", "app_rw"),
        ("database", "shop"),
        ("application_name", "told at startup"),
        ("DateStyle", "German"),
        ("search_path", "pg_catalog, public"),
        ("my.own", "x"),
        ("options", "-c work_mem=8MB -c statement_timeout=7s"),
    ];
    let settings = "SELECT string_agg(concat_ws('=', name, setting, source, reset_val), ';' ORDER BY name)
                    FROM pg_settings WHERE source NOT IN ('default', 'configuration file', 'command line', 'override')";
    let seen = same(&cluster, |port| {
        let mut client = Client::login(port, &parameters);
        let before = client.value(settings);
        for sql in ["SET work_mem = '1MB'", "SET \"DateStyle\" = 'ISO'", "SET my.own = 'y'", "RESET ALL"] {
            client.ask(&query(sql));
        }
        (before, client.value(settings), client.value("SHOW my.own"))
    });
    assert!(seen.0.contains("work_mem=8192=client=8192"), "{seen:?}");
    assert_eq!((&seen.1, seen.2.as_str()), (&seen.0, "x"));
}

#[test]
fn a_parameter_status_comes_when_the_server_sends_it() {
    let cluster = server(&[]);
    let statements = [
        "SET client_encoding = 'LATIN1'",
        "SET \"timezone\" = 'UTC'; SET application_name = 'größe'",
        "BEGIN; SET LOCAL \"DateStyle\" = 'SQL'",
        "ROLLBACK",
        "SELECT set_config('intervalstyle', 'iso_8601', false)",
        "SET SESSION AUTHORIZATION app_rw",
        "DISCARD ALL",
    ];
    let frames: Vec<Frame> = same(&cluster, |port| {
        let mut client = Client::login(port, &SHOP);
        statements.iter().flat_map(|sql| client.ask(&query(sql))).collect()
    });
    assert!(frames.iter().filter(|frame| frame.kind == b'S').count() >= 5, "{frames:?}");
    // One that nobody asked for: the server read its configuration anew.
    let told = same(&cluster, |port| {
        let mut client = Client::login(port, &SHOP);
        ["ALTER SYSTEM SET \"IntervalStyle\" = 'iso_8601'", "ALTER SYSTEM RESET \"IntervalStyle\""].map(|sql| {
            cluster.execute("postgres", sql);
            cluster.execute("postgres", "SELECT pg_reload_conf()");
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let frames = client.ask(&query("SELECT 1"));
                if frames.iter().any(|frame| frame.kind == b'S') {
                    return frames;
                }
                assert!(Instant::now() < deadline, "{sql}: the session never heard of it");
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    });
    assert!(told[0].iter().any(|frame| frame.text() == "IntervalStyle\0iso_8601\0"), "{told:?}");
}

#[test]
fn a_refused_login_has_the_servers_words_to_the_byte() {
    let cluster = server(&["max_connections=20"]);
    cluster.execute(
        "postgres",
        "CREATE ROLE sleeper NOLOGIN; CREATE ROLE single LOGIN CONNECTION LIMIT 0; CREATE DATABASE closed ALLOW_CONNECTIONS false;
         CREATE DATABASE private; REVOKE CONNECT ON DATABASE private FROM public; CREATE DATABASE full_up CONNECTION LIMIT 0;
         CREATE ROLE late LOGIN VALID UNTIL '2001-01-01' PASSWORD 'secret'",
    );
    let logins: [&[(&str, &str)]; 14] = [
        &[("user", "nobody_like_this"), ("database", "shop")],
        &[("user", "app_rw"), ("database", "no_such_database")],
        &[("user", "sleeper"), ("database", "shop")],
        &[("user", "single"), ("database", "shop")],
        &[("user", "app_rw"), ("database", "closed")],
        &[("user", "app_rw"), ("database", "private")],
        &[("user", "app_rw"), ("database", "full_up")],
        // Refused by pg_hba.conf.
        &[("user", "ssl_user"), ("database", "shop")],
        &[("user", "app_rw"), ("database", "shop"), ("no_such_setting", "1")],
        &[("user", "app_rw"), ("database", "shop"), ("work_mem", "lots")],
        &[("user", "app_rw"), ("database", "shop"), ("shared_buffers", "1GB")],
        &[("user", "app_rw"), ("database", "shop"), ("client_encoding", "klingon")],
        &[("user", "app_rw"), ("database", "shop"), ("options", "-c session_preload_libraries=none")],
        &[("user", "app_rw"), ("database", "shop"), ("options", "--no-such-option")],
    ];
    for parameters in logins {
        let (frames, rest) = same(&cluster, |port| {
            let mut client = Client::connect(port);
            let frames = client.try_login(parameters);
            (frames, client.rest())
        });
        assert_eq!(frames.last().map(|frame| frame.kind), Some(b'E'), "{parameters:?}: {frames:?}");
        assert_eq!(rest, b"", "{parameters:?}");
    }
    // No more sessions: the server says so instead of asking who it is.
    let mut sessions = Vec::new();
    while let Some(session) = Some(Client::connect(cluster.port())).filter(|_| sessions.len() < 17) {
        sessions.push(session);
        let last = sessions.len() - 1;
        sessions[last].try_login(&SHOP);
    }
    let (frames, rest) = same(&cluster, |port| {
        let mut client = Client::connect(port);
        let frames = client.try_login(&SHOP);
        (frames, client.rest())
    });
    assert_eq!((error(&frames).field('C').as_str(), rest), ("53300", Vec::new()));
}

#[test]
fn a_wrong_password_has_the_servers_words() {
    let cluster = server(&[]);
    for user in ["scram_user", "md5_user"] {
        let told = same(&cluster, |port| {
            let mut command = client(&cluster, "psql", port, user, "shop");
            let Output { code, stdout, stderr } =
                run(command.env("PGPASSWORD", "wrong").args(["-X", "-c", "SELECT 1"]));
            (code, stdout, stderr.replace(&port.to_string(), "PORT"))
        });
        assert_eq!(told.0, 2);
        assert!(told.2.contains(&format!("password authentication failed for user \"{user}\"")), "{told:?}");
    }
}

#[test]
fn whatever_ends_a_session_is_told_in_the_servers_words() {
    let endings: [(&str, &[&str], &str); 7] = [
        ("57P01", &["SELECT 1"], "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'"),
        (
            "57P01",
            &["BEGIN", "SELECT 1/0"],
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'",
        ),
        ("57P01", &["LISTEN news"], "DROP DATABASE shop WITH (FORCE)"),
        ("25P03", &["SET idle_in_transaction_session_timeout = 100", "BEGIN"], ""),
        ("57P05", &["SET idle_session_timeout = 100"], ""),
        // What is under way gets its own answer first.
        (
            "57P01",
            &["COPY products TO STDOUT"],
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'",
        ),
        ("57014", &["SET statement_timeout = 100", "SELECT pg_sleep(60)"], ""),
    ];
    for (sqlstate, statements, by) in endings {
        let cluster = server(&[]);
        let firewall = Firewall::start(&cluster, firewall::Options::observe());
        cluster.execute("postgres", "CREATE DATABASE kept TEMPLATE shop");
        let seen = [cluster.port(), firewall.port()].map(|port| {
            let mut client = Client::login(port, &SHOP);
            let mut frames: Vec<Frame> = Vec::new();
            for sql in statements {
                frames.extend(client.ask(&query(sql)));
            }
            if !by.is_empty() {
                cluster.execute("postgres", by);
            }
            if sqlstate != "57014" {
                while let Some(frame) = client.read() {
                    frames.push(frame);
                }
                assert_eq!(client.rest(), b"");
            }
            if by.starts_with("DROP") {
                cluster.execute("postgres", "CREATE DATABASE shop TEMPLATE kept");
            }
            frames
        });
        assert_eq!(seen[1], seen[0], "{statements:?}: through the firewall (left), directly (right)");
        let told = seen[0].iter().rev().find(|frame| frame.kind == b'E').unwrap();
        assert_eq!(told.field('C'), sqlstate, "{statements:?}");
    }
}

/// A backend that dies takes the others with it: they say why, and that nothing is known of the transaction.
#[test]
fn a_crash_of_the_server_is_told_in_its_words() {
    let seen = [false, true].map(|through| {
        let cluster = server(&[]);
        let firewall = Firewall::start(&cluster, firewall::Options::observe());
        let port = if through { firewall.port() } else { cluster.port() };
        let mut client = Client::login(port, &SHOP);
        assert_eq!(client.value("SELECT 1"), "1");
        let mut victim = Client::login(cluster.port(), &[("user", "postgres"), ("database", "postgres")]);
        let pid = victim.value("SELECT pg_backend_pid()").parse().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = client.read() {
            frames.push(frame);
        }
        frames
    });
    assert_eq!(seen[1], seen[0], "through the firewall (left), directly (right)");
    assert_eq!(seen[0][0].field('C'), "57P02");
}

/// However the client goes, its session at the server goes at once, and leaves the same in the server's log.
#[test]
fn when_the_client_goes_its_session_at_the_server_goes() {
    let cluster = server(&["client_connection_check_interval=100", "log_line_prefix="]);
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let begin = query("BEGIN; INSERT INTO orders (product_id, total) VALUES (1, 1)");
    let sleep = query("SELECT pg_sleep(600)");
    // What it sends, the last answer to it that it reads, how it goes.
    let cases: [(&str, &[u8], Option<u8>, &str); 7] = [
        ("idle", b"", None, "close"),
        ("idle", b"", None, "reset"),
        ("idle", &frame(b'X', b""), None, "close"),
        ("in a transaction", &begin, Some(b'Z'), "close"),
        ("in a COPY", &query("COPY products FROM STDIN"), Some(b'G'), "close"),
        ("in a message", &query("SELECT 1")[..7], None, "close"),
        // The server looks for its client every 100 milliseconds, as configured above.
        ("in a statement", &sleep, None, "close"),
    ];
    for (when, sent, answer, how) in cases {
        let said = [cluster.port(), firewall.port()].map(|port| {
            let before = cluster.log().lines().count();
            let mut client = Client::login(port, &SHOP);
            client.send(sent);
            while answer.is_some() && client.read().map(|frame| frame.kind) != answer {}
            if how == "reset" {
                client.reset()
            } else {
                drop(client)
            }
            await_sessions(&cluster, 0);
            let log = cluster.log();
            let mut lines: Vec<String> = log.lines().skip(before).map(str::to_owned).collect();
            // A reset is told to the server as an end, so that what was on its way to it arrives.
            lines.retain(|line| line.contains("connection") && !line.contains("reset by peer"));
            lines
        });
        assert_eq!(said[1], said[0], "{when}, {how}: the server's log, through the firewall (left), directly (right)");
    }
    let mut direct = Client::login(cluster.port(), &SHOP);
    assert_eq!(direct.value("SELECT count(*) FROM orders"), "1000", "what was not committed is gone");
}

#[test]
fn a_client_that_closes_its_half_gets_the_answer_that_is_under_way() {
    let cluster = server(&[]);
    let slow = [parse("", "SELECT pg_sleep(0.3)::text"), bind("", "", &[]), execute("")].concat();
    for sent in [
        query("SELECT pg_sleep(0.3); SELECT 'done'"),
        query("SELECT repeat('x', 5000000)"),
        [slow.clone(), sync(), slow.clone(), sync()].concat(),
        // Without Sync: the server does it all, and then finds the end where a message should come.
        slow,
        [query("COPY products FROM STDIN"), frame(b'd', b"5000\tx\t1\n")].concat(),
        [query("SELECT 1"), query("SELECT 2")[..9].to_vec()].concat(),
    ] {
        let bytes = same(&cluster, |port| {
            let mut client = Client::login(port, &SHOP);
            client.send(&sent);
            client.half_close();
            client.rest()
        });
        assert!(!bytes.is_empty() || sent[0] == b'P', "{}", sent.escape_ascii());
    }
}

/// The longest startup packet that the server takes, the first that it does not, and one that comes in drops.
#[test]
fn a_startup_packet_may_be_as_long_as_the_server_takes_and_come_byte_by_byte() {
    let cluster = server(&[]);
    let packet = |length: usize| {
        let empty = startup(&[SHOP[0], SHOP[1], ("my.own", "")]).len();
        startup(&[SHOP[0], SHOP[1], ("my.own", &"x".repeat(length - empty))])
    };
    // 10,000 bytes behind the length word is the most.
    for (length, logs_in) in [(10_000, true), (10_004, true), (10_005, false), (20_000, false)] {
        let kinds = same(&cluster, |port| {
            let mut client = Client::connect(port);
            client.try_send(&packet(length));
            let frames = client.until_ready();
            assert!(logs_in || frames.is_empty(), "{length}: {frames:?}");
            let size = if logs_in { client.value("SELECT length(current_setting('my.own'))") } else { String::new() };
            (frames.into_iter().map(|frame| frame.kind).collect::<Vec<_>>(), size)
        });
        assert_eq!(kinds.0.last() == Some(&b'Z'), logs_in, "{length}: {kinds:?}");
    }
    let small = startup(&[SHOP[0], SHOP[1], ("application_name", "drop by drop")]);
    same(&cluster, |port| {
        let mut client = Client::connect(port);
        for byte in &small {
            client.send(&[*byte]);
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(client.until_ready().last().map(|frame| frame.kind), Some(b'Z'));
        for byte in query("SHOW application_name") {
            client.send(&[byte]);
            std::thread::sleep(Duration::from_millis(2));
        }
        client.until_ready()
    });
}

/// First packets and messages with impossible lengths end the connection without a word.
#[test]
fn a_bad_length_ends_the_connection_as_at_the_server() {
    let cluster = server(&[]);
    let cancel = |key: &[u8]| {
        let length = u32::try_from(12 + key.len()).unwrap();
        [&length.to_be_bytes()[..], &[0x04, 0xd2, 0x16, 0x2e, 0, 0, 0, 1], key].concat()
    };
    for first in [
        vec![0, 0, 0, 0],
        vec![0, 0, 0, 3],
        vec![0, 0, 0, 4],
        vec![0, 0, 0, 7, 0, 3, 0],
        vec![0, 0, 0x27, 0x15],
        vec![0x7f, 0xff, 0xff, 0xff],
        vec![0xff, 0xff, 0xff, 0xff],
        // A client that speaks HTTP, and one that speaks TLS at once.
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03],
        cancel(&[]),
        cancel(&[1, 2]),
        cancel(&[1, 2, 3, 4]),
    ] {
        let answer = same(&cluster, |port| {
            let mut client = Client::connect(port);
            client.send(&first);
            client.rest()
        });
        assert_eq!(answer, b"", "{}", first.escape_ascii());
    }
    // In a session, too, the server only writes it to its log.
    for (kind, length) in
        [(b'Q', 3u32), (b'Q', 0), (b'Q', 0x4000_0000), (b'Q', u32::MAX), (b'S', 20_000), (b'E', 2), (b'd', 1)]
    {
        let mut bytes = vec![kind];
        bytes.extend(length.to_be_bytes());
        let answer = same(&cluster, |port| {
            let mut client = Client::login(port, &SHOP);
            client.send(&bytes);
            client.rest()
        });
        assert_eq!(answer, b"", "{} {length}", kind as char);
    }
    // A length that is right for a type that does not exist is answered.
    let frames = same(&cluster, |port| {
        let mut client = Client::login(port, &SHOP);
        client.send(&frame(b'z', b""));
        client.until_ready()
    });
    assert_eq!(error(&frames).field('C'), "08P01");
}

/// At its `authentication_timeout` the server closes without a word; so does the firewall, at the server's and at its own.
#[test]
fn who_does_not_log_in_in_time_is_closed_without_a_word() {
    let cases = [
        Vec::new(),
        startup(&[("user", "md5_user"), ("database", "shop")])[..12].to_vec(),
        startup(&[("user", "md5_user"), ("database", "shop")]),
        startup(&[("user", "scram_user"), ("database", "shop")]),
    ];
    for (server_waits, firewall_waits) in [("1s", "60s"), ("60s", "1s")] {
        let cluster = server(&[&format!("authentication_timeout={server_waits}")]);
        let mut options = firewall::Options::observe();
        options.environment.push(("PORTCULLIS_HANDSHAKE_TIMEOUT", firewall_waits.to_owned()));
        let firewall = Firewall::start(&cluster, options);
        for sent in &cases {
            // Who has not told the firewall its name is not known to the server: only the firewall's own time is up.
            if server_waits == "1s" && (sent.is_empty() || sent.len() == 12) {
                continue;
            }
            let mut client = firewall.connect();
            client.send(sent);
            let answer = kinds_without_end(&client.rest());
            assert!(
                answer == b"" || answer == b"R",
                "{server_waits}, {}: {}",
                sent.escape_ascii(),
                answer.escape_ascii()
            );
            assert_eq!(answer.is_empty(), sent.len() <= 12, "{}", sent.escape_ascii());
            if server_waits == "1s" {
                let mut direct = Client::connect(cluster.port());
                direct.send(sent);
                assert_eq!(kinds_without_end(&direct.rest()), answer);
            }
        }
    }
}

/// The types of the frames in these bytes.
fn kinds_without_end(mut bytes: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<5>() {
        kinds.push(header[0]);
        let length = usize::try_from(u32::from_be_bytes(header[1..].try_into().unwrap())).unwrap();
        bytes = rest.get(length - 4..).unwrap_or_default();
    }
    kinds
}

/// A server that crashed in the login says nothing, and nothing is said in its name.
#[test]
fn a_server_that_goes_in_the_login_is_not_spoken_for() {
    for answer in [&b""[..], b"R\0\0\0\x0c\0\0\0\x05salt"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut packet = [0; 1024];
                let read = stream.read(&mut packet).unwrap_or(0);
                if packet[..read].starts_with(&common::wire::SSL_REQUEST) {
                    stream.write_all(b"N").unwrap();
                    let _ = stream.read(&mut packet);
                }
                let _ = stream.write_all(answer);
            }
        });
        let mut options = firewall::Options::observe();
        options.ready = false;
        let firewall = Firewall::before(port, options);
        for port in [port, firewall.port()] {
            let mut client = Client::connect(port);
            client.send(&startup(&SHOP));
            assert_eq!(client.rest(), answer);
        }
    }
}

/// While the server does not read, hardly more is taken from the client than directly: so a COPY or a batch that fails in the
/// middle stops where it would.
#[test]
fn what_the_server_does_not_read_stays_with_the_client() {
    let cluster = server(&[]);
    let firewall = Firewall::start(&cluster, firewall::Options::observe());
    let taken = |port: u16| {
        let mut client = Client::login(port, &SHOP);
        client.send(&query("SELECT pg_sleep(600)"));
        std::thread::sleep(Duration::from_millis(300));
        let mut stream = client.into_stream();
        stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut taken = 0;
        let row = frame(b'd', &[b'x'; 32 << 10]);
        'rows: loop {
            let mut rest = &row[..];
            while !rest.is_empty() {
                match stream.write(rest) {
                    Ok(written) => {
                        taken += written;
                        rest = &rest[written..];
                    }
                    Err(_) => break 'rows,
                }
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        taken
    };
    let direct = taken(cluster.port());
    let through = taken(firewall.port());
    assert!(through <= direct + (1 << 20), "{through} bytes were taken, directly {direct}");
    // They sleep on.
    cluster.execute("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_rw'");
}
