//! Bodies in strings: a canary in every place of PL/pgSQL where an expression may stand, and what stays `unknown`.

use super::tests::{accesses, statement};

fn unknown(text: &str) -> Vec<String> {
    accesses(text).into_iter().filter(|a| a.starts_with("unknown")).collect()
}

/// A block that declares a few variables of every kind.
fn block(statements: &str) -> String {
    format!(
        "DO $body$ <<b>> DECLARE x int; y int; r record; a int[]; c refcursor; k CURSOR (p int) FOR SELECT p; \
         BEGIN {statements} END $body$"
    )
}

#[test]
fn a_canary_in_every_place_of_plpgsql() {
    let places = [
        "x := canary();",
        "x = canary();",
        "a[canary()] := 1;",
        "a[1] := canary();",
        "r.f := canary();",
        "b.r.f := canary();",
        "r.f[canary()].g := 1;",
        "x := 1 FROM t WHERE canary();",
        "IF canary() THEN NULL; END IF;",
        "IF x = 1 THEN x := canary(); END IF;",
        "IF x = 1 THEN NULL; ELSIF canary() THEN NULL; END IF;",
        "IF x = 1 THEN NULL; ELSEIF true THEN PERFORM canary(); END IF;",
        "IF x = 1 THEN NULL; ELSE x := canary(); END IF;",
        "CASE canary() WHEN 1 THEN NULL; END CASE;",
        "CASE x WHEN 1, canary() THEN NULL; END CASE;",
        "CASE WHEN canary() THEN NULL; ELSE NULL; END CASE;",
        "CASE x WHEN 1 THEN NULL; ELSE PERFORM canary(); END CASE;",
        "LOOP x := canary(); END LOOP;",
        "LOOP EXIT WHEN canary(); END LOOP;",
        "<<l>> LOOP CONTINUE l WHEN canary(); END LOOP l;",
        "WHILE canary() LOOP NULL; END LOOP;",
        "WHILE true LOOP x := canary(); END LOOP;",
        "FOR i IN canary()..3 LOOP NULL; END LOOP;",
        "FOR i IN 1..canary() LOOP NULL; END LOOP;",
        "FOR i IN REVERSE 3..canary() BY 2 LOOP NULL; END LOOP;",
        "FOR i IN 1..3 BY canary() LOOP NULL; END LOOP;",
        "FOR i IN 1..3 LOOP PERFORM canary(); END LOOP;",
        "FOR r IN SELECT canary() LOOP NULL; END LOOP;",
        "FOR x, y IN SELECT 1, canary() LOOP NULL; END LOOP;",
        "FOR r IN (SELECT canary()) LOOP NULL; END LOOP;",
        "FOR r IN VALUES (canary()) LOOP NULL; END LOOP;",
        "FOR r IN SELECT (SELECT canary()) LOOP NULL; END LOOP;",
        "FOR r IN k(canary()) LOOP NULL; END LOOP;",
        "FOR r IN k(p := canary()) LOOP NULL; END LOOP;",
        "FOR r IN k(p => canary()) LOOP NULL; END LOOP;",
        "FOR r IN EXECUTE 'SELECT canary()' LOOP NULL; END LOOP;",
        "FOR r IN EXECUTE 'SELECT $1' USING canary() LOOP NULL; END LOOP;",
        "FOREACH x SLICE 1 IN ARRAY canary() LOOP NULL; END LOOP;",
        "RETURN canary();",
        "RETURN NEXT canary();",
        "RETURN (SELECT canary());",
        "RETURN QUERY SELECT canary();",
        "RETURN QUERY (SELECT canary());",
        "RETURN QUERY EXECUTE 'SELECT canary()';",
        "RETURN QUERY EXECUTE 'SELECT $1' USING 1, canary();",
        "RAISE NOTICE 'x % %', 1, canary();",
        "RAISE 'x' USING HINT = canary(), DETAIL = 'd';",
        "RAISE division_by_zero USING MESSAGE := 'm', HINT = canary();",
        "RAISE EXCEPTION SQLSTATE '22012' USING MESSAGE = canary();",
        "RAISE USING MESSAGE = canary();",
        "ASSERT canary();",
        "ASSERT true, canary();",
        "PERFORM canary();",
        "PERFORM 1 FROM t WHERE canary();",
        "PERFORM a, b FROM t ORDER BY canary();",
        "CALL p(canary());",
        "DO 'BEGIN PERFORM canary(); END';",
        "DO LANGUAGE plpgsql 'BEGIN EXECUTE ''SELECT canary()''; END';",
        "SELECT canary() INTO x;",
        "SELECT a INTO STRICT x, y FROM t WHERE canary();",
        "SELECT INTO r canary();",
        "INSERT INTO t VALUES (canary()) RETURNING a INTO x;",
        "UPDATE t SET a = 1 WHERE b = 2 RETURNING canary() INTO b.r;",
        "DELETE FROM t WHERE a = canary();",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET a = canary();",
        "WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT canary() INTO x FROM w;",
        "CREATE TABLE z AS SELECT canary();",
        "CREATE RULE rr AS ON INSERT TO t DO ALSO (DELETE FROM u; SELECT canary());",
        "EXECUTE 'SELECT canary()';",
        "EXECUTE 'SELECT 1' INTO STRICT x USING canary();",
        "EXECUTE 'SELECT 1' USING 1, canary() INTO x;",
        "EXECUTE 'DO $i$ BEGIN PERFORM canary(); END $i$';",
        "EXECUTE canary();",
        "OPEN c FOR SELECT canary();",
        "OPEN c NO SCROLL FOR SELECT canary();",
        "OPEN c FOR EXECUTE 'SELECT canary()';",
        "OPEN c SCROLL FOR EXECUTE 'SELECT $1' USING canary();",
        "OPEN k(canary());",
        "OPEN k(p := canary());",
        "FETCH ABSOLUTE canary() FROM c INTO x;",
        "FETCH RELATIVE (SELECT 1 FROM t WHERE canary()) IN c INTO x;",
        "FETCH FORWARD canary() FROM c INTO x;",
        "MOVE canary() FROM c;",
        "MOVE BACKWARD canary() IN c;",
        "DECLARE z int := canary(); BEGIN NULL; END;",
        "DECLARE z CONSTANT text COLLATE \"C\" NOT NULL DEFAULT canary(); BEGIN NULL; END;",
        "DECLARE z CURSOR FOR SELECT canary(); BEGIN NULL; END;",
        "DECLARE z NO SCROLL CURSOR (q int, s text) IS SELECT canary(); BEGIN NULL; END;",
        "BEGIN NULL; EXCEPTION WHEN OTHERS THEN PERFORM canary(); END;",
        "BEGIN x := canary(); EXCEPTION WHEN unique_violation OR SQLSTATE '22012' THEN NULL; END;",
        "<<l>> BEGIN BEGIN x := canary(); END; END l;",
        // Comments, case and line breaks are no hiding places.
        "pErFoRm -- ;\n canary /* ; */ ();",
        "x := ';' || canary();",
        // A variable that is called like a statement, or like a keyword that is not used.
        "DECLARE query text; BEGIN PERFORM canary(); query := 'x'; END;",
        "DECLARE perform int; BEGIN perform := canary(); END;",
        "RETURN next.f(canary());",
    ];
    for place in places {
        let text = block(place);
        assert!(accesses(&text).iter().any(|access| access == "call canary"), "{text}: {:?}", accesses(&text));
        if place != "EXECUTE canary();" {
            assert_eq!(unknown(&text), [""; 0], "{text}");
        }
    }
}

#[test]
fn statements_without_an_expression_are_known() {
    for text in [
        "NULL;",
        "RETURN;",
        "RETURN NEXT;",
        "RAISE;",
        "RAISE NOTICE 'x';",
        "RAISE SQLSTATE '22012';",
        "EXIT;",
        "GET DIAGNOSTICS x = ROW_COUNT, y := PG_CONTEXT;",
        "GET STACKED DIAGNOSTICS x = MESSAGE_TEXT;",
        "FETCH c INTO x;",
        "FETCH NEXT FROM c INTO x, y;",
        "FETCH FORWARD ALL FROM c INTO x;",
        "FETCH LAST c INTO r;",
        "MOVE FORWARD FROM c;",
        "MOVE ALL IN c;",
        "CLOSE c;",
        "OPEN k;",
        "DECLARE p ALIAS FOR x; q t.a%TYPE; s u%ROWTYPE; v t.a%TYPE[]; BEGIN END;",
    ] {
        assert_eq!(accesses(&block(text)), ["do plpgsql"], "{text}");
    }
}

#[test]
fn what_a_body_does_is_added() {
    super::tests::table(&[
        (&block("DELETE FROM t; COMMIT AND CHAIN; ROLLBACK;"), &["do plpgsql", "delete t", "commit", "rollback"]),
        (&block("SELECT * INTO r FROM s.secrets;"), &["do plpgsql", "select s.secrets"]),
        (&block("SET LOCAL ROLE admin;"), &["do plpgsql", "set_role admin"]),
        (&block("r := s.f(NEW.a);"), &["do plpgsql", "call s.f"]),
        (&block("DECLARE z evil.t; BEGIN END;"), &["do plpgsql", "call:type evil.t"]),
        (
            "CREATE PROCEDURE p(x int) LANGUAGE 'plpgsql' AS 'BEGIN UPDATE t SET a = x; END'",
            &["create:procedure p", "create_function p", "update t"],
        ),
        (
            "CREATE FUNCTION f() RETURNS trigger AS 'BEGIN NEW.a := (SELECT 1 FROM u); RETURN NEW; END' LANGUAGE plpgsql",
            &["create:function f", "create_function f", "select u"],
        ),
        (
            "CREATE FUNCTION f(int) RETURNS SETOF nowhere.t LANGUAGE sql SET search_path = s AS 'SELECT * FROM t; DELETE FROM u'",
            &[
                "create:function f",
                "create_function f",
                "call:type nowhere.t",
                "set search_path=s",
                "select t",
                "delete u",
            ],
        ),
        (
            "CREATE FUNCTION f() RETURNS int SET ROLE admin BEGIN ATOMIC SELECT a FROM t; END",
            &["create:function f", "create_function f", "set_role admin", "select t"],
        ),
    ]);
    assert!(statement(&block("DELETE FROM t;")).accesses.iter().any(|a| a.where_missing));
}

#[test]
fn arguments_are_no_parameters_of_the_session() {
    let text = "CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS $$SELECT set_config('search_path', $1, true)$$";
    assert!(accesses(text).contains(&"set search_path=?".to_owned()), "{:?}", accesses(text));
    assert_eq!(statement(text).parameters, 0);
}

#[test]
fn what_is_not_read_is_unknown() {
    let dynamic = "unknown dynamic EXECUTE in a PL/pgSQL body";
    for text in [
        "EXECUTE 'DROP TABLE ' || x;",
        "EXECUTE format('DROP TABLE %I', x);",
        "EXECUTE x INTO y USING 1;",
        "RETURN QUERY EXECUTE x;",
        "FOR r IN EXECUTE x LOOP NULL; END LOOP;",
        "OPEN c FOR EXECUTE x;",
        "EXECUTE 'SELECT 1' FROM t;",
    ] {
        assert_eq!(unknown(&block(text)), [dynamic], "{text}");
    }
    for text in [
        &block("PREPARE p AS SELECT 1;"),
        &block("DEALLOCATE ALL;"),
        &block("EXECUTE 'EXECUTE p';"),
        &block("SELEC 1;"),
        &block("x := 1 +;"),
        &block("FROBNICATE x;"),
        &block("DECLARE query int; BEGIN RETURN query(1); END;"),
        &block("FOR query IN 1..2 LOOP RETURN query(1); END LOOP;"),
        &block("EXECUTE $a$DO $b$BEGIN EXECUTE 'DO ''BEGIN EXECUTE ''''SELECT 1''''; END'''; END$b$$a$;"),
        &block("CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; END;"),
        &block(&"BEGIN ".repeat(5_000)),
        &block(&format!("{}NULL;{}", "LOOP ".repeat(5_000), " END LOOP;".repeat(5_000))),
        &block(&"x := 1; ".repeat(10_001)),
        "DO ''",
        "DO '-- only this'",
        "DO ' /* or this */ '",
        "DO $$ BEGIN END; /* open $$",
        "DO 'BEGIN'",
        "DO 'BEGIN END; SELECT 1'",
        "DO 'BEGIN END' LANGUAGE plpgsql LANGUAGE plpgsql",
        "DO LANGUAGE plpython3u 'x'",
        "DO LANGUAGE 'PLPGSQL' 'BEGIN END'",
        "DO $$ BEGIN x := 'unterminated; END $$",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'lib', 'symbol'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'int4pl'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'not sql'",
        "CREATE FUNCTION f() RETURNS int AS 'SELECT 1'",
        "CREATE FUNCTION f(query int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN query(1); END'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET standard_conforming_strings = off AS 'SELECT 1'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'PREPARE p AS SELECT 1'",
    ] {
        let found = unknown(text);
        assert!(!found.is_empty(), "{}: {:?}", text.chars().take(200).collect::<String>(), accesses(text));
    }
    assert_eq!(unknown("DO LANGUAGE plpython3u 'x'"), ["unknown a body in language plpython3u"]);
}
