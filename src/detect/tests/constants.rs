//! Conditions that don't depend on data, and what applications write that looks like them.

use super::*;

#[test]
fn a_condition_without_data_is_a_constant_however_it_is_written() {
    let not = "NOT ".repeat(14);
    let deep = format!("1=1{}", "+0".repeat(40));
    for condition in [
        &format!("{not} 1=1"),
        &deep,
        "coalesce(true)",
        "(SELECT true)",
        "EXISTS (SELECT 1)",
        "ARRAY[1] @> ARRAY[1]",
        "'[1,2]'::int4range @> 1",
        "starts_with('ab', 'a')",
        "CASE WHEN true THEN true END",
        "NULLIF(1, 2) = 1",
        "greatest(1, 2) = 2",
        "1 IN (SELECT 1)",
    ] {
        let text = format!("SELECT * FROM t WHERE a = 'x' OR {condition}");
        assert!(look(&text).score() >= 5, "{text}: {:?}", look(&text));
    }
    for condition in ["current_user IS NOT NULL", "now() > '2000-01-01'", "random() < 2"] {
        let text = format!("SELECT * FROM t WHERE a = 'x' OR {condition}");
        assert_eq!(look(&text).score(), 3, "{text}");
    }
    on_a_large_stack(|| {
        let long = format!("SELECT * FROM t WHERE a = 'x' OR 1=1{}", "+0".repeat(3000));
        assert!(look(&long).score() >= 5);
    });
}

#[test]
fn an_optional_filter_is_no_constant_truth() {
    // What applications send that put their values into the text.
    for text in [
        "SELECT * FROM books WHERE ('' = '' OR title = '')",
        "SELECT * FROM books WHERE (5 = 0 OR category_id = 5) AND ('x' = 'all' OR kind = 'x')",
        "SELECT * FROM books WHERE (NULL IS NULL OR title = NULL)",
        "SELECT * FROM books WHERE (true OR title = 'x')",
        "SELECT * FROM books WHERE ('x' = '' OR title ILIKE '%' || 'x' || '%')",
        "SELECT * FROM books WHERE (parent = 5 OR (5 = 0 AND parent IS NULL))",
        "SELECT * FROM books WHERE id NOT IN (NULL) OR (1 = 1)",
        "SELECT * FROM books WHERE (name = '' OR mail LIKE '%%')",
    ] {
        assert!(look(text).score() < 3, "{text}: {:?}", look(text));
    }
    // The same words where an injection stands.
    for text in [
        "SELECT * FROM books WHERE title = '' OR '' = ''",
        "SELECT * FROM books WHERE title = 'a' OR ('a' = 'a' OR title = 'a')",
        "SELECT * FROM books WHERE id = 1 OR ('a' = 'a' OR title = 'a') AND 2 > 1",
    ] {
        assert!(look(text).score() >= 5, "{text}");
    }
}

#[test]
fn a_query_without_a_table_hides_none_that_has_one() {
    for text in [
        "WITH u AS (SELECT id FROM users WHERE name = '' OR 1=1) SELECT (SELECT count(*) FROM u)",
        "SELECT EXISTS (SELECT 1 FROM users WHERE name = '' OR 1=1)",
        "SELECT (SELECT id FROM users WHERE name = 'x' AND 'a' = 'b')",
        "PREPARE p AS SELECT id FROM users WHERE name = '' OR 1=1",
        "EXPLAIN ANALYZE SELECT id FROM users WHERE name = '' OR 1=1",
        "DECLARE c CURSOR FOR SELECT id FROM users WHERE name = '' OR 1=1",
        "COPY (SELECT id FROM users WHERE name = '' OR 1=1) TO STDOUT",
    ] {
        assert!(look(text).score() >= 5, "{text}: {:?}", look(text));
    }
}

#[test]
fn constant_condition() {
    shows(
        Technique::ConstantCondition,
        &[
            "SELECT * FROM users WHERE name = 'x' AND 4215=4215",
            "SELECT * FROM users WHERE name = 'x' AND 'NUvw'='fpeq'",
            "SELECT * FROM users WHERE id = 1 AND NOT 7=8",
            "SELECT * FROM users WHERE id = 1 AND crc32('x') = crc32('x')",
            "SELECT * FROM users WHERE id = 1 AND aurora_version() LIKE chr(37)",
            "SELECT * FROM users WHERE id = (CASE WHEN 31=31 THEN 1 ELSE 2 END)",
            "SELECT * FROM users WHERE id = 1 AND (SELECT true)",
            "SELECT * FROM users WHERE id = 1 AND ARRAY[1] @> ARRAY[1]",
            "SELECT id FROM products WHERE id = 1 HAVING 1=1",
            "SELECT id FROM products WHERE id = 1 HAVING ascii(substr(current_user, 1, 1)) > 50",
            "INSERT INTO notes (body) VALUES ('a' = 'b')",
            "UPDATE notes SET body = 'a' LIKE '%'",
            "SELECT id FROM places WHERE lower(city) = lower('x' <> 'y')",
            "SELECT name = name, current_database() = current_database() FROM products",
        ],
    );
    nothing(&[
        // Builders of SQL.
        "SELECT * FROM users WHERE id = 1 AND 1=1 AND 1 = 0 AND TRUE",
        "SELECT * FROM users WHERE id IN (1) AND 0 = 1",
        "SELECT sum(a) FROM t GROUP BY b HAVING sum(a) = (sum(a))",
        "SELECT sum(a) FROM t HAVING sum(a) > 3",
        "SELECT my_aggregate(a) FROM t HAVING my_aggregate(a) > 3",
        // What some ORMs let the server check before they write.
        "SELECT 1 AS _check WHERE COALESCE((500 > 500 OR 500 < 500), true)",
        "SELECT ((1 = 1) OR EXISTS(SELECT 1 AS a FROM items LIMIT 1)) AS _check",
        "SELECT year, 40 > 30 AS greater FROM seasons",
        "SELECT 4 = 4",
        "SELECT CASE WHEN total > 100 THEN 'big' ELSE 'small' END FROM orders",
        "SELECT * FROM jobs WHERE id = 1 AND now() > '2020-01-01'",
        "SELECT * FROM t WHERE a = $1 AND $1 = $1",
        "SELECT * FROM t WHERE a = 1 AND current_setting('app.tenant') = '5' AND current_user = 'x'",
        "SELECT * FROM t WHERE a = 1 AND is_enabled('new') AND is_enabled('new') = true AND pg_has_role('x', 'USAGE')",
    ]);
}

#[test]
fn a_condition_that_fails_weighs_what_one_weighs_that_holds() {
    // Else the refusal would tell a tool which of its two questions was true.
    for (holds, fails) in [
        ("OR 7=7", "OR 7=8"),
        ("OR NOT 7=8", "OR NOT 7=7"),
        ("OR 'a' LIKE 'a'", "OR 'a' LIKE 'b'"),
        ("AND 4215=4215", "AND 4215=4216"),
        ("AND NOT 4215=4216", "AND NOT 4215=4215"),
        ("AND 5 BETWEEN 5 AND 5", "AND 5 BETWEEN 6 AND 6"),
        ("AND 5 IN (5, 6)", "AND 5 IN (6, 7)"),
        ("AND 'a' > 'A'", "AND 'A' > 'a'"),
        ("OR 7=7 AND b = 1", "OR 7=8 AND b = 1"),
        ("AND 1=1", "AND 1=0"),
        ("AND ascii('a') = 97", "AND ascii('a') = 98"),
    ] {
        let score = |end: &str| look(&format!("SELECT * FROM t WHERE a = 'x' {end}")).score();
        assert_eq!(score(holds), score(fails), "{holds}");
    }
}
