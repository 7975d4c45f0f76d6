//! Reading statements leaves the process's standard error alone. libpg_query has code that puts a pipe in its place for each
//! call; it is not compiled in today. With several threads it would send the log astray, now and then, and in the end for good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::sql;

#[test]
fn standard_error_stays_where_it_is() {
    let place = || std::fs::read_link(Path::new("/proc/self/fd/2")).unwrap();
    let before = place();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        sql::analyse("SELECT a FROM t WHERE b = 1", sql::Reading::default()).unwrap();
                        assert_eq!(sql::redacted("SELECT 'a'"), "SELECT ?");
                    }
                })
            })
            .collect();
        let watcher = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(place(), before, "while statements are read");
            }
        });
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });
    assert_eq!(place(), before, "afterwards");
}
