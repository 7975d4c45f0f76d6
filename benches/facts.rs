//! What reading a statement costs: text to Facts, cold.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::sql::{self, Reading};

/// What pgbench asks.
const POINT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = $1";

/// A report over twenty joined tables.
fn report() -> String {
    let mut text = String::from("SELECT t0.region, date_trunc('month', t0.sold_at) AS month, count(*), sum(t1.total)");
    text.push_str(" FROM sales t0");
    for table in 1..=20 {
        let before = table - 1;
        let _ = write!(text, " JOIN dimension_{table} t{table} ON t{table}.id = t{before}.dimension_{table}_id");
    }
    text.push_str(" WHERE t0.sold_at >= $1 AND t0.sold_at < $2 AND t3.kind IN ('a', 'b', 'c') GROUP BY 1, 2 ORDER BY 4 DESC");
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
    for (name, text) in [("point_select", POINT.to_owned()), ("report_20_joins", report()), ("insert_1000_rows", rows())] {
        group.bench_function(name, |b| b.iter(|| sql::analyse(black_box(&text), Reading::default()).unwrap().facts));
    }
    group.finish();
}

criterion_group!(benches, facts);
criterion_main!(benches);
