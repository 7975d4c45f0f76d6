//! What a statement costs: text to Facts where nobody remembers it, and the whole way through the engine where it came before.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::blocks::Blocks;
use portcullis::detect::{self, Recent};
use portcullis::metrics::Metrics;
use portcullis::policy::{self, Identity};
use portcullis::session::cache::Cache;
use portcullis::session::engine::Engine;
use portcullis::session::quarantine::{Quarantine, Watch};
use portcullis::session::tell::Teller;
use portcullis::sql::second_opinion::compare;
use portcullis::sql::{self, Reading};

/// What pgbench asks.
const POINT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";

/// Likewise, in one message.
const POINT_WITH_VALUE: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711";

/// A report over twenty joined tables.
fn report() -> String {
    let mut text = String::from("SELECT t0.region, date_trunc('month', t0.sold_at) AS month, count(*), sum(t1.total)");
    text.push_str(" FROM sales t0");
    for table in 1..=20 {
        let before = table - 1;
        let _ = write!(text, " JOIN dimension_{table} t{table} ON t{table}.id = t{before}.dimension_{table}_id");
    }
    text.push_str(
        " WHERE t0.sold_at >= $1 AND t0.sold_at < $2 AND t3.kind IN ('a', 'b', 'c') GROUP BY 1, 2 ORDER BY 4 DESC",
    );
    text
}

/// A thousand rows in one INSERT.
fn rows() -> String {
    let mut text = String::from("INSERT INTO readings (sensor_id, taken_at, value, unit) VALUES ");
    for row in 0..1000 {
        let comma = if row == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}({row}, '2026-01-01 00:00:00+00', {row}.5, 'kWh')");
    }
    text
}

fn facts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("facts");
    for (name, text) in
        [("point_select", POINT.to_owned()), ("report_20_joins", report()), ("insert_1000_rows", rows())]
    {
        group.bench_function(name, |b| b.iter(|| sql::analyse(black_box(&text), Reading::default()).unwrap().facts));
    }
    group.finish();
    let facts = sql::analyse(POINT, Reading::default()).unwrap().facts;
    criterion.bench_function("second_opinion/point_select", |b| b.iter(|| compare(black_box(POINT), &facts)));
    for (name, text) in [("signals/point_select", POINT), ("signals/point_select_with_value", POINT_WITH_VALUE)] {
        let analysis = sql::analyse(text, Reading::default()).unwrap();
        let mut recent = Recent::default();
        criterion.bench_function(name, |b| {
            b.iter(|| {
                let mut signals = detect::signals(black_box(text), &analysis);
                if analysis.facts.inline {
                    signals.beside_recent(text, &mut recent, 3);
                }
                signals
            });
        });
    }
    criterion.bench_function("redact/point_select", |b| b.iter(|| sql::redacted(black_box(POINT))));
}

/// A session's engine under the policy of an ordinary application.
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
    let metrics = Arc::new(Metrics::new(&["unknown"], &[]));
    let watch = Watch::new(Arc::new(Quarantine::new(Duration::from_secs(900), Arc::clone(&metrics))), &identity);
    let blocks = Arc::new(Blocks::in_memory(Arc::clone(&metrics)));
    let blocks = portcullis::blocks::Watch::new(blocks, &identity.user);
    let tell = Teller::new(metrics, &identity, 1);
    Engine::new(session, tell, Arc::new(Cache::new(32 << 20, 1 << 30)), watch, blocks, false, false)
}

/// What one Query costs from the frame's arrival to its release, when the text came before.
fn cached(criterion: &mut Criterion) {
    let frame = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    };
    let mut group = criterion.benchmark_group("cached");
    for (name, text) in [("point_select", POINT.to_owned()), ("report_20_joins", report())] {
        let mut engine = engine();
        let mut insert = Vec::new();
        let query = frame(b'Q', format!("{text}\0").as_bytes());
        let ready = frame(b'Z', b"I");
        let _ = engine.server(&ready, &mut insert);
        group.bench_function(name, |b| {
            b.iter(|| {
                assert_eq!(engine.client(black_box(&query), &mut insert).pass, query.len());
                assert_eq!(engine.server(&ready, &mut insert).pass, ready.len());
            });
        });
    }
    group.finish();
    // The whole way of a text that nobody remembers: another number each time.
    let mut engine = engine();
    let mut insert = Vec::new();
    let ready = frame(b'Z', b"I");
    let _ = engine.server(&ready, &mut insert);
    let mut number = 0u32;
    criterion.bench_function("cold/point_select", |b| {
        b.iter(|| {
            number += 1;
            let text = format!("SELECT abalance FROM pgbench_accounts WHERE aid = {number}\0");
            let query = frame(b'Q', text.as_bytes());
            assert_eq!(engine.client(black_box(&query), &mut insert).pass, query.len());
            assert_eq!(engine.server(&ready, &mut insert).pass, ready.len());
        });
    });
}

criterion_group!(benches, facts, cached);
criterion_main!(benches);
