//! What reading a text takes at its peak stays below what it was estimated to take. Each test is a process of its own under
//! `cargo nextest`, so that the peak of the process is the text's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use portcullis::sql::{self, Reading, STACK};

/// The largest resident size so far, in bytes (proc(5)).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}

/// Repeats a unit up to 256 KiB.
fn fill(head: &str, unit: &str, joiner: &str, tail: &str) -> String {
    let count = (256 << 10) / (unit.len() + joiner.len());
    format!("{head}{}{tail}", vec![unit; count].join(joiner))
}

fn check(text: String) {
    let reader = std::thread::Builder::new().stack_size(STACK);
    let reader = reader.spawn(move || {
        // What the first statement of a process sets up is not the text's.
        let _ = sql::analyse("SELECT a FROM t WHERE b = 1", Reading::default());
        let estimate = sql::weight(&text);
        let before = peak();
        let _ = sql::analyse(&text, Reading::default());
        let taken = peak() - before;
        let length = text.len() as u64;
        println!("{} bytes: {} a byte estimated, {} taken", length, estimate / length, taken / length);
        assert!(taken <= estimate + (1 << 20), "{taken} bytes taken, {estimate} estimated: {:.60}", text);
    });
    reader.unwrap().join().unwrap();
}

macro_rules! shapes {
    ($($name:ident: $head:literal $unit:literal $joiner:literal $tail:literal;)+) => {
        $(#[test]
        fn $name() {
            check(fill($head, $unit, $joiner, $tail));
        })+
    };
}

shapes! {
    a_literal: "SELECT '" "x" "" "'";
    a_comment: "SELECT 1 /*" "x" "" "*/";
    digits: "SELECT a FROM t WHERE a IN (" "1" "," ")";
    integers: "SELECT a FROM t WHERE a IN (" "12345" "," ")";
    strings: "SELECT a FROM t WHERE a IN (" "''" "," ")";
    rows: "INSERT INTO t VALUES " "(1,'abc',2.5)" "," "";
    short_rows: "INSERT INTO t VALUES " "(1)" "," "";
    value_lists: "" "VALUES(1)" " UNION ALL " "";
    columns: "SELECT " "a" "," " FROM t";
    qualified_columns: "SELECT " "a.b.c" "," " FROM t";
    stars: "SELECT " "*" "," " FROM t";
    tables: "SELECT 1 FROM " "t" "," "";
    joins: "SELECT 1 FROM a " "CROSS JOIN t" " " "";
    function_calls: "SELECT " "f()" "," "";
    wide_calls: "SELECT f(" "a" "," ")";
    named_arguments: "SELECT f(" "a=>1" "," ")";
    sub_selects: "SELECT " "(SELECT 1)" "," "";
    empty_selects: "SELECT " "(SELECT)" "," "";
    common_tables: "WITH " "a AS(SELECT)" "," " SELECT 1";
    unions: "" "SELECT 1" " UNION " "";
    statements: "" "SELECT 1" ";" "";
    empty_statements: "" "SELECT" ";" "";
    transactions: "" "BEGIN" ";" "";
    settings: "" "SET a=1" ";" "";
    ands: "SELECT a FROM t WHERE " "a=1" " AND " "";
    bare_ands: "SELECT a FROM t WHERE " "a" " AND " "";
    sums: "SELECT a FROM t WHERE b IN (" "1+1" "," ")";
    signs: "SELECT " "- - - - - - - -1" "," "";
    casts: "SELECT " "1::int" "," "";
    wide_casts: "SELECT " "a::b.c(1)[]" "," "";
    typed_literals: "SELECT " "date '1'" "," "";
    cases: "SELECT " "CASE WHEN a THEN b END" "," "";
    arrays: "SELECT " "ARRAY[1]" "," "";
    subscripts: "SELECT a" "[1]" "" " FROM t";
    indirections: "SELECT (a)" ".b" "" " FROM t";
    rows_of_columns: "SELECT " "(a,b)" "," "";
    nulls: "SELECT " "NULL" "," "";
    tests_for_null: "SELECT " "a ISNULL" "," "";
    booleans: "SELECT " "true" "," "";
    keyword_functions: "SELECT " "user" "," "";
    parameters: "SELECT a FROM t WHERE a IN (" "$1" "," ")";
    ordering: "SELECT 1 FROM t ORDER BY " "a" "," "";
    grouping: "SELECT 1 FROM t GROUP BY " "()" "," "";
    windows: "SELECT " "f() OVER ()" "," "";
    assignments: "UPDATE t SET " "a=b" "," "";
    column_definitions: "CREATE TABLE t (" "a int" "," ")";
    constraints: "CREATE TABLE t (a int " "NOT NULL" " " ")";
    dropped_tables: "DROP TABLE " "a" "," "";
    grants: "GRANT SELECT ON t TO " "a" "," "";
    options: "CREATE TABLE t (a int) WITH (" "a=1" "," ")";
    collations: "SELECT " "a COLLATE b" "," "";
    at_time_zones: "SELECT a" " AT LOCAL" "" "";
    json: "SELECT " "JSON()" "," "";
    json_objects: "SELECT JSON_OBJECT(" "a:b" "," ")";
    json_tables: "SELECT 1 FROM JSON_TABLE('{}','$' COLUMNS (" "a FOR ORDINALITY" "," "))";
    xml: "SELECT xmlconcat(" "a" "," ")";
    what_the_lexer_refuses: "SELECT " "a" "," ",'";
    what_the_grammar_refuses: "SELECT " "a" "," ", FROM FROM";
}
