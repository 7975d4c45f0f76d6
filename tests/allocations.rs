//! The relay path allocates nothing: a counting allocator around the engine and around whole relayed sessions.
#![allow(unsafe_code, reason = "a global allocator is unsafe by its trait")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis::blocks::{Blocks, Wanted};
use portcullis::detect::Technique;
use portcullis::metrics::Metrics;
use portcullis::policy::{self, Identity};
use portcullis::session::cache::Cache;
use portcullis::session::engine::{Engine, Look, Then};
use portcullis::session::quarantine::{Quarantine, Watch};
use portcullis::session::tell::Teller;
use portcullis::sql::Group;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator with the caller's own arguments; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend(i32::try_from(body.len() + 4).unwrap().to_be_bytes());
    frame.extend(body);
    frame
}

fn engine() -> Engine {
    let directory = tempfile::tempdir().unwrap();
    let policy = "policy: shop\napplies_to: {users: [shop_app]}\nsearch_path: [public]\n\
                  allow: [{rule: data, actions: [select, insert, update, delete], tables: [\"*\"]}]\n";
    std::fs::write(directory.path().join("shop.yaml"), policy).unwrap();
    let set = Arc::new(policy::load(directory.path()).unwrap());
    let identity = Identity {
        user: "shop_app".into(),
        database: "shop".into(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        tls: false,
        replication: false,
        arrival: portcullis::policy::Arrival::default(),
    };
    let session = set.admit(&identity).unwrap();
    let groups: &'static [&'static str] = Vec::leak(Group::ALL.iter().map(|group| group.as_str()).collect());
    let techniques: &'static [&'static str] = Vec::leak(Technique::ALL.iter().map(|t| t.as_str()).collect());
    let metrics = Arc::new(Metrics::new(groups, techniques));
    let quarantine = Arc::new(Quarantine::new(Duration::from_secs(900), Arc::clone(&metrics)));
    // Somebody is in it, at least.
    quarantine.begin(&Identity { user: "mallory".into(), ..identity.clone() }, Instant::now());
    let watch = Watch::new(quarantine, &identity);
    // Somebody else and another statement are blocked, too.
    let blocks = Arc::new(Blocks::in_memory(Arc::clone(&metrics)));
    for target in [&br#"{"user": "eve""#[..], br#"{"hash": "0123456789abcdef0123456789abcdef""#] {
        let body = [target, br#", "for": "1h", "reason": "a test"}"#].concat();
        blocks.make(Wanted::from_json(&body, Timestamp::now()).unwrap(), "a test", Timestamp::now()).unwrap();
    }
    let blocks = portcullis::blocks::Watch::new(blocks, &identity.user);
    let tell = Teller::new(metrics, &identity, 1);
    Engine::new(session, tell, Arc::new(Cache::new(1 << 20, 0)), watch, blocks, false, false)
}

/// Passes whole or not at all.
fn client(engine: &mut Engine, bytes: &[u8], insert: &mut Vec<u8>) {
    let Look { pass, then } = engine.client(bytes, insert);
    assert_eq!((pass, then), (bytes.len(), Then::More { need: 5 }));
}

fn server(engine: &mut Engine, bytes: &[u8], insert: &mut Vec<u8>) {
    let Look { pass, then } = engine.server(bytes, insert);
    assert_eq!((pass, then), (bytes.len(), Then::More { need: 5 }));
}

#[test]
fn a_simple_query_that_came_before_is_judged_without_an_allocation() {
    let mut engine = engine();
    let mut insert = Vec::new();
    server(&mut engine, &frame(b'Z', b"I"), &mut insert);
    let query = frame(b'Q', b"SELECT abalance FROM pgbench_accounts WHERE aid = 42\0");
    let answer = [
        frame(b'T', b"\0\x01abalance\0\0\0@\0\0\x04\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
        frame(b'D', b"\0\x01\0\0\0\x010"),
        frame(b'C', b"SELECT 1\0"),
        frame(b'Z', b"I"),
    ]
    .concat();
    for _ in 0..8 {
        client(&mut engine, &query, &mut insert);
        server(&mut engine, &answer, &mut insert);
    }
    let count = allocations(|| {
        for _ in 0..1000 {
            client(&mut engine, &query, &mut insert);
            server(&mut engine, &answer, &mut insert);
        }
    });
    assert_eq!(count, 0, "allocations in 1,000 queries");
}

#[test]
fn an_unnamed_statement_that_came_before_is_judged_without_an_allocation() {
    let mut engine = engine();
    let mut insert = Vec::new();
    server(&mut engine, &frame(b'Z', b"I"), &mut insert);
    let batch = [
        frame(b'P', b"\0SELECT abalance FROM pgbench_accounts WHERE aid = $1\0\0\0"),
        frame(b'B', b"\0\0\0\0\0\x01\0\0\0\x0542042\0\0"),
        frame(b'D', b"P\0"),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'S', b""),
    ]
    .concat();
    let answer = [frame(b'1', b""), frame(b'2', b""), frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat();
    for _ in 0..8 {
        client(&mut engine, &batch, &mut insert);
        server(&mut engine, &answer, &mut insert);
    }
    let count = allocations(|| {
        for _ in 0..1000 {
            client(&mut engine, &batch, &mut insert);
            server(&mut engine, &answer, &mut insert);
        }
    });
    assert_eq!(count, 0, "allocations in 1,000 batches");
}

#[test]
fn a_prepared_statement_runs_without_an_allocation() {
    let mut engine = engine();
    let mut insert = Vec::new();
    server(&mut engine, &frame(b'Z', b"I"), &mut insert);
    client(&mut engine, &frame(b'P', b"P_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1\0\0\0"), &mut insert);
    client(&mut engine, &frame(b'S', b""), &mut insert);
    server(&mut engine, &[frame(b'1', b""), frame(b'Z', b"I")].concat(), &mut insert);

    let batch = [
        frame(b'B', b"\0P_0\0\0\0\0\x01\0\0\0\x0542042\0\0"),
        frame(b'D', b"P\0"),
        frame(b'E', b"\0\0\0\0\0"),
        frame(b'S', b""),
    ]
    .concat();
    let answer = [
        frame(b'2', b""),
        frame(b'T', b"\0\x01abalance\0\0\0@\0\0\x04\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"),
        frame(b'D', b"\0\x01\0\0\0\x010"),
        frame(b'C', b"SELECT 1\0"),
        frame(b'Z', b"I"),
    ]
    .concat();
    for _ in 0..8 {
        client(&mut engine, &batch, &mut insert);
        server(&mut engine, &answer, &mut insert);
    }
    let count = allocations(|| {
        for _ in 0..1000 {
            client(&mut engine, &batch, &mut insert);
            server(&mut engine, &answer, &mut insert);
        }
    });
    assert_eq!(count, 0, "allocations in 1,000 transactions");
}

#[test]
fn statements_that_take_turns_run_without_an_allocation() {
    let mut engine = engine();
    let mut insert = Vec::new();
    server(&mut engine, &frame(b'Z', b"I"), &mut insert);
    client(&mut engine, &frame(b'P', b"P_0\0SELECT abalance FROM pgbench_accounts WHERE aid = $1\0\0\0"), &mut insert);
    client(&mut engine, &frame(b'P', b"P_1\0UPDATE pgbench_tellers SET tbalance = $1\0\0\0"), &mut insert);
    client(&mut engine, &frame(b'S', b""), &mut insert);
    server(&mut engine, &[frame(b'1', b""), frame(b'1', b""), frame(b'Z', b"I")].concat(), &mut insert);

    let run = |statement: &str| {
        let bind = [b"\0", statement.as_bytes(), b"\0\0\0\0\x01\0\0\0\x0542042\0\0"].concat();
        [frame(b'B', &bind), frame(b'E', b"\0\0\0\0\0")].concat()
    };
    let unnamed = frame(b'P', b"\0SELECT filler FROM pgbench_branches WHERE bid = $1\0\0\0");
    let batches = [
        [run("P_0"), frame(b'S', b"")].concat(),
        [run("P_1"), run("P_0"), frame(b'S', b"")].concat(),
        [unnamed, run(""), run("P_1"), frame(b'S', b"")].concat(),
    ];
    let answer = [frame(b'2', b""), frame(b'C', b"SELECT 1\0"), frame(b'Z', b"I")].concat();
    let mut go = |times: usize| {
        for _ in 0..times {
            for batch in &batches {
                client(&mut engine, batch, &mut insert);
                server(&mut engine, &answer, &mut insert);
            }
        }
    };
    go(8);
    let count = allocations(|| go(1000));
    assert_eq!(count, 0, "allocations in 3,000 batches");
}

#[test]
fn copy_and_large_results_stream_without_an_allocation() {
    let mut engine = engine();
    let mut insert = Vec::new();
    server(&mut engine, &frame(b'Z', b"I"), &mut insert);
    let data = frame(b'd', &[b'x'; 8000]);
    let rows = [frame(b'D', &[0; 500]), frame(b'D', &[0; 5000]), frame(b'd', &[0; 9000])].concat();
    let count = allocations(|| {
        for _ in 0..1000 {
            client(&mut engine, &data, &mut insert);
            server(&mut engine, &rows, &mut insert);
        }
    });
    assert_eq!(count, 0, "allocations in 1,000 CopyData and 3,000 rows");
}

#[test]
fn the_counter_counts() {
    assert!(allocations(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(100)))) > 0);
}
