//! Random statements over a wide part of PostgreSQL's grammar, each made from one number.

/// A small generator of numbers (SplitMix64), so that a statement can be made again from its seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// True once in so many times.
    pub fn chance(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// A string as a literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

const TABLES: [&str; 7] = ["t", "u", "s.t", "public.orders", "\"Mixed\"", "pg_class", "information_schema.tables"];
const COLUMNS: [&str; 6] = ["a", "b", "c", "\"Col\"", "t.a", "u.b"];
const FUNCTIONS: [&str; 9] =
    ["f", "s.f", "lower", "pg_catalog.now", "count", "nextval", "pg_sleep", "pg_read_file", "jsonb_build_object"];
const TYPES: [&str; 8] =
    ["int", "text", "s.mine", "numeric(10,2)", "timestamptz", "regclass", "varchar(3)[]", "bigint"];
const OPERATORS: [&str; 10] = ["+", "-", "*", "=", "<>", "<=", "||", "->>", "OPERATOR(s.+)", "~~"];

fn list(random: &mut Random, most: usize, mut item: impl FnMut(&mut Random) -> String) -> String {
    let count = 1 + random.below(most);
    (0..count).map(|_| item(random)).collect::<Vec<_>>().join(", ")
}

fn maybe(random: &mut Random, text: impl FnOnce(&mut Random) -> String) -> String {
    if random.chance(3) { text(random) } else { String::new() }
}

/// An expression in parentheses, or a plain one.
pub fn expression(random: &mut Random, depth: usize) -> String {
    if depth == 0 { bare(random, 0) } else { format!("({})", bare(random, depth)) }
}

fn bare(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return match random.below(9) {
            0 => "1".into(),
            1 => "'x'".into(),
            2 => "NULL".into(),
            3 => "$1".into(),
            4 => "true".into(),
            5 => "2.5e3".into(),
            6 => "current_user".into(),
            _ => random.pick(&COLUMNS).into(),
        };
    }
    let d = depth - 1;
    match random.below(24) {
        0 | 1 => format!("({} {} {})", expression(random, d), random.pick(&OPERATORS), expression(random, d)),
        2 => format!("{}({})", random.pick(&FUNCTIONS), list(random, 3, |r| expression(r, d))),
        3 => format!("({}) AND ({})", expression(random, d), expression(random, d)),
        4 => format!("(({}) OR NOT ({}))", expression(random, d), expression(random, d)),
        5 => format!("CAST({} AS {})", expression(random, d), random.pick(&TYPES)),
        6 => format!("({})::{}", expression(random, d), random.pick(&TYPES)),
        7 => format!("({})", query(random, d)),
        8 => format!("EXISTS ({})", query(random, d)),
        9 => format!("({}) IN ({})", expression(random, d), list(random, 3, |r| expression(r, d))),
        10 => format!("({}) = ANY ({})", expression(random, d), query(random, d)),
        11 => format!(
            "CASE WHEN {} THEN {} ELSE {} END",
            expression(random, d),
            expression(random, d),
            expression(random, d)
        ),
        12 => format!("coalesce({})", list(random, 3, |r| expression(r, d))),
        13 => format!("ARRAY[{}]", list(random, 3, |r| expression(r, d))),
        14 => format!("ROW({}, {})", expression(random, d), expression(random, d)),
        15 => format!("({}) IS NOT NULL", expression(random, d)),
        16 => {
            format!("({}) BETWEEN ({}) AND ({})", expression(random, d), expression(random, d), expression(random, d))
        }
        17 => format!(
            "sum({}) FILTER (WHERE {}) OVER (PARTITION BY {} ORDER BY {})",
            expression(random, d),
            expression(random, d),
            expression(random, d),
            expression(random, d)
        ),
        18 => format!("({}) LIKE ({})", expression(random, d), expression(random, d)),
        19 => format!("extract(year FROM {})", expression(random, d)),
        20 => format!("({}) AT TIME ZONE ({})", expression(random, d), expression(random, d)),
        21 => format!("greatest({}, {})", expression(random, d), expression(random, d)),
        22 => format!("array_agg({} ORDER BY {})", expression(random, d), expression(random, d)),
        _ => format!("({}) COLLATE \"C\"", expression(random, d)),
    }
}

fn from_item(random: &mut Random, depth: usize) -> String {
    let table = |random: &mut Random| {
        let alias = random.pick(&["", " AS x", " y", " AS x (a, b)"]);
        format!("{}{}{alias}", if random.chance(6) { "ONLY " } else { "" }, random.pick(&TABLES))
    };
    if depth == 0 {
        return table(random);
    }
    let d = depth - 1;
    match random.below(8) {
        0 => format!("({}) AS sub", query(random, d)),
        1 => format!("{} JOIN {} ON {}", from_item(random, d), from_item(random, d), expression(random, d)),
        2 => format!("{} LEFT JOIN {} USING (a)", from_item(random, d), from_item(random, d)),
        3 => format!("{} CROSS JOIN {}", table(random), table(random)),
        4 => format!(
            "{}({}) AS fn (a, b)",
            random.pick(&["f", "s.f", "generate_series"]),
            list(random, 2, |r| expression(r, d))
        ),
        5 => format!("LATERAL ({}) AS lat", query(random, d)),
        6 => format!("{} NATURAL JOIN {}", table(random), table(random)),
        _ => table(random),
    }
}

/// A SELECT without what only its end may have, so that it can stand in any parentheses.
pub fn query(random: &mut Random, depth: usize) -> String {
    let d = depth.saturating_sub(1);
    match random.below(if depth == 0 { 1 } else { 9 }) {
        6 => format!(
            "({}) {} ({})",
            query(random, d),
            random.pick(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]),
            query(random, d)
        ),
        7 => format!("VALUES ({})", list(random, 3, |r| expression(r, d))),
        8 => format!(
            "WITH {}cte{} AS ({}) SELECT {} FROM cte, {}",
            random.pick(&["", "RECURSIVE "]),
            random.pick(&["", " (a, b)"]),
            query(random, d),
            list(random, 2, |r| expression(r, d)),
            from_item(random, d)
        ),
        _ => {
            let targets = match random.below(5) {
                0 => "*".into(),
                1 => "t.*".into(),
                _ => list(random, 3, |r| {
                    let value = expression(r, d);
                    if r.chance(3) { format!("{value} AS name") } else { value }
                }),
            };
            let from = list(random, 2, |r| from_item(r, d));
            let mut text = format!("SELECT {}{targets} FROM {from}", random.pick(&["", "", "DISTINCT ", "ALL "]));
            text += &maybe(random, |r| format!(" WHERE {}", expression(r, d)));
            text += &maybe(random, |r| {
                let by = r.pick(&["", "ROLLUP ", "CUBE "]);
                format!(" GROUP BY {by}({})", list(r, 2, |r| expression(r, d)))
            });
            text += &maybe(random, |r| format!(" HAVING {}", expression(r, d)));
            text += &maybe(random, |r| format!(" ORDER BY {}", list(r, 2, |r| expression(r, d))));
            text += &maybe(random, |r| format!(" LIMIT {}", r.pick(&["10", "$2", "ALL"])));
            text
        }
    }
}

fn returning(random: &mut Random) -> String {
    maybe(random, |r| format!(" RETURNING {}", if r.chance(2) { "*".into() } else { expression(r, 1) }))
}

/// A statement of any kind.
pub fn statement(random: &mut Random) -> String {
    let t = random.pick(&TABLES);
    let u = random.pick(&TABLES);
    let e = |random: &mut Random| expression(random, 2);
    match random.below(44) {
        0..=9 => {
            let mut text = query(random, 3);
            if text.starts_with("SELECT ")
                && !text.contains(" GROUP BY")
                && !text.contains(" HAVING")
                && !text.contains("DISTINCT")
            {
                text += &maybe(random, |r| {
                    format!(" {}", r.pick(&["FOR UPDATE", "FOR SHARE NOWAIT", "FOR NO KEY UPDATE SKIP LOCKED"]))
                });
            }
            text
        }
        10 => format!("INSERT INTO {t} (a, b) VALUES ({}, {}){}", e(random), e(random), returning(random)),
        11 => format!("INSERT INTO {t} {}", query(random, 2)),
        12 => format!(
            "INSERT INTO {t} AS i VALUES ({}, DEFAULT) ON CONFLICT (a) WHERE {} DO UPDATE SET b = {} WHERE {}",
            e(random),
            e(random),
            e(random),
            e(random)
        ),
        13 => format!("UPDATE {t} SET a = {}, (b, c) = ({}){}", e(random), query(random, 1), returning(random)),
        14 => format!("UPDATE {t} AS z SET a = {} FROM {} WHERE {}", e(random), from_item(random, 1), e(random)),
        15 => format!("DELETE FROM {t} USING {} WHERE {}{}", from_item(random, 1), e(random), returning(random)),
        16 => format!("DELETE FROM {t}"),
        17 => format!(
            "MERGE INTO {t} AS m USING {} ON {} WHEN MATCHED AND {} THEN UPDATE SET a = {} WHEN NOT MATCHED THEN INSERT (a) VALUES ({})",
            from_item(random, 0),
            e(random),
            e(random),
            e(random),
            e(random)
        ),
        18 => format!("WITH w AS (DELETE FROM {t} RETURNING *) INSERT INTO {u} SELECT * FROM w"),
        19 => format!("TRUNCATE {t}, {u} CASCADE"),
        20 => format!("EXPLAIN ({}) {}", random.pick(&["ANALYZE", "ANALYZE false", "COSTS off"]), query(random, 2)),
        21 => format!("PREPARE p (int) AS {}", query(random, 2)),
        22 => format!("EXECUTE p ({})", e(random)),
        23 => format!("DECLARE c CURSOR WITH HOLD FOR {}", query(random, 2)),
        24 => format!("COPY ({}) TO STDOUT", query(random, 2)),
        25 => format!("COPY {t} (a, b) FROM STDIN WITH (FORMAT csv) WHERE {}", e(random)),
        26 => format!("COPY {t} TO {}", random.pick(&["STDOUT", "'/tmp/x'", "PROGRAM 'cat'"])),
        27 => format!("CREATE TABLE {t} (a int DEFAULT ({}) CHECK ({}), b s.mine, UNIQUE (a))", e(random), e(random)),
        28 => format!("CREATE TABLE new AS {}", query(random, 2)),
        29 => format!("CREATE OR REPLACE VIEW v AS {}", query(random, 2)),
        30 => format!("CREATE INDEX i ON {t} USING btree (a, ({})) WHERE {}", e(random), e(random)),
        31 => format!(
            "ALTER TABLE {t} {}",
            random.pick(&[
                "ADD COLUMN d int DEFAULT f()",
                "DROP COLUMN a CASCADE",
                "ALTER a TYPE text USING f(a)",
                "ENABLE ROW LEVEL SECURITY",
                "OWNER TO admin",
                "SET SCHEMA s2",
                "ATTACH PARTITION u DEFAULT"
            ])
        ),
        32 => format!("DROP {} {t}, {u}", random.pick(&["TABLE", "TABLE IF EXISTS", "VIEW", "INDEX", "SEQUENCE"])),
        33 => format!(
            "GRANT {} ON {t} TO {}",
            random.pick(&["SELECT", "ALL", "UPDATE (a)"]),
            random.pick(&["x", "PUBLIC"])
        ),
        34 => format!("REVOKE ALL ON SCHEMA s FROM {}", random.pick(&["x", "CURRENT_USER"])),
        35 => random
            .pick(&[
                "SET search_path TO a, b",
                "SET ROLE x",
                "RESET ALL",
                "SET LOCAL app.x = 'y'",
                "SHOW timezone",
                "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
                "DISCARD ALL",
                "SET TIME ZONE 'UTC'",
            ])
            .into(),
        36 => random
            .pick(&[
                "BEGIN READ ONLY",
                "COMMIT",
                "ROLLBACK TO s",
                "SAVEPOINT s",
                "PREPARE TRANSACTION 'x'",
                "START TRANSACTION ISOLATION LEVEL SERIALIZABLE",
            ])
            .into(),
        37 => format!(
            "CREATE FUNCTION g(x int DEFAULT {}) RETURNS int LANGUAGE sql AS {}",
            e(random),
            literal(&query(random, 2))
        ),
        38 => format!(
            "DO $b$ DECLARE n int := {}; BEGIN PERFORM {}; IF {} THEN DELETE FROM {t}; END IF; END $b$",
            e(random),
            e(random),
            e(random)
        ),
        39 => {
            format!("CREATE TRIGGER tr BEFORE INSERT ON {t} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION s.f()", e(random))
        }
        40 => format!("CREATE POLICY pol ON {t} USING ({}) WITH CHECK ({})", e(random), e(random)),
        41 => format!("LOCK TABLE {t} IN {} MODE", random.pick(&["ACCESS SHARE", "EXCLUSIVE"])),
        42 => random
            .pick(&[
                "LISTEN ch",
                "NOTIFY ch, 'x'",
                "UNLISTEN *",
                "VACUUM FULL t",
                "ANALYZE t (a)",
                "REINDEX TABLE s.t",
                "CLUSTER t USING i",
                "CHECKPOINT",
                "REFRESH MATERIALIZED VIEW mv",
                "COMMENT ON TABLE t IS 'x'",
            ])
            .into(),
        _ => format!("CALL s.proc({}, {})", e(random), e(random)),
    }
}
