//! Whole relayed sessions over in-memory streams.

use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;
use crate::session::engine::tests::{SHOP, engine};

const READY: &[u8] = b"Z\0\0\0\x05I";

/// A relay between two ends that the test holds: the client's and the server's.
struct Relay {
    client: DuplexStream,
    server: DuplexStream,
    task: tokio::task::JoinHandle<Closed>,
    ending: watch::Sender<Ending>,
}

fn relay(capacity: usize) -> Relay {
    patient(capacity, SessionTimeouts::default())
}

fn patient(capacity: usize, timeouts: SessionTimeouts) -> Relay {
    let (client, client_leg) = duplex(capacity);
    let (server, server_leg) = duplex(capacity);
    let (ending, asked) = watch::channel(Ending::No);
    let task = tokio::spawn(async move {
        let mut engine = engine(SHOP, false);
        let until = Until { ending: asked, timeouts };
        run(client_leg, b"", server_leg, READY, &mut engine, |_, _| {}, until).await
    });
    Relay { client, server, task, ending }
}

fn query(text: &str) -> Vec<u8> {
    let length = i32::try_from(text.len() + 5).unwrap();
    [&b"Q"[..], &length.to_be_bytes(), text.as_bytes(), b"\0"].concat()
}

async fn read(stream: &mut DuplexStream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_and_what_comes_later_passes() {
    let mut relay = relay(64);
    assert_eq!(read(&mut relay.client, READY.len()).await, READY);
    let query = query(&format!("SELECT {}1", " ".repeat(3000)));
    let (_, got) = tokio::join!(relay.client.write_all(&query), read(&mut relay.server, query.len()));
    assert_eq!(got, query);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_never_arrives_and_its_neighbours_do() {
    let mut relay = relay(1 << 16);
    relay.client.write_all(&[query("SELECT 1"), query("DROP TABLE t"), query("SELECT 2")].concat()).await.unwrap();
    let poison = query(&format!("\"portcullis refused {}\"", "0".repeat(26)));
    let got = read(&mut relay.server, query("SELECT 1").len() + poison.len() + query("SELECT 2").len()).await;
    let text = String::from_utf8_lossy(&got);
    assert!(!text.contains("DROP") && text.contains("portcullis refused"), "{text}");
    assert!(got.starts_with(&query("SELECT 1")) && got.ends_with(&query("SELECT 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlong_statement_is_dropped_without_being_kept() {
    let mut relay = relay(1 << 16);
    let long = query(&"x".repeat(3 << 20));
    let send = async {
        relay.client.write_all(&long).await.unwrap();
        relay.client.write_all(&query("SELECT 2")).await.unwrap();
    };
    let poison = query(&format!("\"portcullis refused {}\"", "0".repeat(26)));
    let ((), got) = tokio::join!(send, read(&mut relay.server, poison.len() + query("SELECT 2").len()));
    assert!(got.ends_with(&query("SELECT 2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_client_still_gets_its_answer() {
    let mut relay = relay(1 << 16);
    relay.client.write_all(&query("SELECT 1")).await.unwrap();
    relay.client.shutdown().await.unwrap();
    let mut asked = Vec::new();
    relay.server.read_to_end(&mut asked).await.unwrap();
    assert_eq!(asked, query("SELECT 1"), "the server hears the end behind the question");
    relay.server.write_all(b"C\0\0\0\x0dSELECT 1\0").await.unwrap();
    drop(relay.server);
    let mut answer = Vec::new();
    relay.client.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, [READY, b"C\0\0\0\x0dSELECT 1\0"].concat());
    assert!(matches!(relay.task.await.unwrap(), Closed::Client));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_goes_its_last_words_arrive_and_the_client_is_closed() {
    let mut relay = relay(1 << 16);
    relay.server.write_all(b"E\0\0\0\x05\0").await.unwrap();
    drop(relay.server);
    let mut words = Vec::new();
    relay.client.read_to_end(&mut words).await.unwrap();
    assert_eq!(words, [READY, b"E\0\0\0\x05\0"].concat());
    assert!(matches!(relay.task.await.unwrap(), Closed::Server));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_says_so() {
    let mut relay = relay(1 << 16);
    assert_eq!(read(&mut relay.client, READY.len()).await, READY);
    relay.ending.send_replace(Ending::Now);
    let mut words = Vec::new();
    relay.client.read_to_end(&mut words).await.unwrap();
    assert!(words.starts_with(b"E") && words.windows(5).any(|w| w == b"57P01"));
    let mut nothing = Vec::new();
    relay.server.read_to_end(&mut nothing).await.unwrap();
    assert_eq!(nothing, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_talks_nonsense_is_left() {
    let mut relay = relay(1 << 16);
    relay.server.write_all(b"Z\0\0\0\0").await.unwrap();
    let mut words = Vec::new();
    relay.client.read_to_end(&mut words).await.unwrap();
    assert_eq!(words, READY);
    assert!(matches!(relay.task.await.unwrap(), Closed::Ended(End::ImpossibleLength(_))));
}

/// The last words to a client, and its session's end.
async fn last_words(relay: Relay) -> (String, Closed) {
    let Relay { mut client, server: _server, task, ending: _ending } = relay;
    let mut words = Vec::new();
    client.read_to_end(&mut words).await.unwrap();
    (String::from_utf8_lossy(&words).into_owned(), task.await.unwrap())
}

/// Lets the session begin a transaction.
async fn begin(relay: &mut Relay) {
    assert_eq!(read(&mut relay.client, READY.len()).await, READY);
    let begin = query("BEGIN");
    relay.client.write_all(&begin).await.unwrap();
    assert_eq!(read(&mut relay.server, begin.len()).await, begin);
    relay.server.write_all(b"Z\0\0\0\x05T").await.unwrap();
    assert_eq!(read(&mut relay.client, READY.len()).await, b"Z\0\0\0\x05T");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_idle_sessions_at_once_and_others_at_the_end_of_their_transaction() {
    let mut idle = relay(1 << 16);
    assert_eq!(read(&mut idle.client, READY.len()).await, READY);
    idle.ending.send_replace(Ending::WhenIdle);
    let (words, closed) = last_words(idle).await;
    assert!(words.contains("57P01") && matches!(closed, Closed::ShutDown), "{words}");

    let mut busy = relay(1 << 16);
    begin(&mut busy).await;
    busy.ending.send_replace(Ending::WhenIdle);
    let select = query("SELECT 1");
    busy.client.write_all(&select).await.unwrap();
    assert_eq!(read(&mut busy.server, select.len()).await, select);
    busy.server.write_all(b"Z\0\0\0\x05T").await.unwrap();
    assert_eq!(read(&mut busy.client, 6).await, b"Z\0\0\0\x05T");
    let commit = query("COMMIT");
    busy.client.write_all(&commit).await.unwrap();
    assert_eq!(read(&mut busy.server, commit.len()).await, commit, "the transaction goes on");
    busy.server.write_all(READY).await.unwrap();
    let (words, closed) = last_words(busy).await;
    assert!(words.starts_with("Z\0\0\0\u{5}I") && words.contains("57P01"), "{words}");
    assert!(matches!(closed, Closed::ShutDown));
}

const SHORT: Option<Duration> = Some(Duration::from_millis(50));

#[tokio::test(flavor = "multi_thread")]
async fn who_does_nothing_for_too_long_is_told_what_the_server_would_say() {
    let timeouts = SessionTimeouts { idle: SHORT, ..SessionTimeouts::default() };
    let (words, closed) = last_words(patient(1 << 16, timeouts)).await;
    assert!(words.contains("57P05") && words.contains("idle-session timeout"), "{words}");
    assert!(matches!(closed, Closed::Ended(_)));

    let mut in_transaction =
        patient(1 << 16, SessionTimeouts { idle_in_transaction: SHORT, ..SessionTimeouts::default() });
    begin(&mut in_transaction).await;
    let (words, _) = last_words(in_transaction).await;
    assert!(words.contains("25P03") && words.contains("idle-in-transaction timeout"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_message_and_notifications_are_no_activity() {
    let timeouts = SessionTimeouts { idle: SHORT, idle_in_transaction: SHORT, ..SessionTimeouts::default() };
    // A query a byte at a time, the head of a COPY's data that never comes, and what others notify.
    let news = b"A\0\0\0\x0d\0\0\0\x01news\0";
    for (sent, from_server) in [(&b"Q\0\0\x40\0SELECT"[..], &b""[..]), (b"d\0\x10\0\0", b""), (b"", news)] {
        let mut relay = patient(1 << 16, timeouts);
        begin(&mut relay).await;
        relay.client.write_all(sent).await.unwrap();
        while !relay.task.is_finished() {
            let _ = relay.server.write_all(from_server).await;
            let _ = if sent.is_empty() { Ok(()) } else { relay.client.write_all(b" ").await };
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (words, _) = last_words(relay).await;
        assert!(words.contains("25P03"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_under_way_is_not_idle() {
    let timeouts = SessionTimeouts { idle: SHORT, idle_in_transaction: SHORT, ..SessionTimeouts::default() };
    let mut relay = patient(1 << 16, timeouts);
    assert_eq!(read(&mut relay.client, READY.len()).await, READY);
    let select = query("SELECT 1");
    relay.client.write_all(&select).await.unwrap();
    assert_eq!(read(&mut relay.server, select.len()).await, select);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!relay.task.is_finished());
    relay.server.write_all(READY).await.unwrap();
    let (words, _) = last_words(relay).await;
    assert!(words.contains("57P05"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_bytes_for_too_long_is_left() {
    let mut relay = patient(64, SessionTimeouts { write: SHORT, ..SessionTimeouts::default() });
    let rows = vec![b'd'; 1 << 16];
    // The client never reads.
    let _ = relay.server.write_all(&[&b"d\0\x01\0\x04"[..], &rows].concat()).await;
    assert!(matches!(relay.task.await.unwrap(), Closed::Stalled("client")));
}
