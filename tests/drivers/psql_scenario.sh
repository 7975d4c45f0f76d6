#!/usr/bin/env bash
# What a person at psql does, and pgbench for the pipeline: libpq as PostgreSQL ships it. Connects by the PG... environment;
# PSQL and PGBENCH are the programs. The argument says what is in the way: `open`: nothing refuses (the server itself, or an
# observing firewall); `enforce`: a policy refuses DDL and more. The last line is the report that tests/drivers.rs reads.
set -euo pipefail
mode=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# The server itself refuses this one with 42501, the firewall before it.
secrets='SELECT rolname FROM pg_catalog.pg_authid'
sleeping="SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE wait_event = 'PgSleep'"
mark="INSERT INTO orders (product_id, total, note) VALUES (1, 1, 'marked')"
marked="SELECT count(*) FROM orders WHERE note = 'marked'"
steps=()

die() {
    printf '%s\n' "$@" >&2
    exit 1
}

# is EXPECTED FOUND
is() { [ "$1" = "$2" ] || die "expected: $1" "found: $2"; }

# One session that reads a script; errors do not end it.
psql() { "$PSQL" -X -A -t -q -v VERBOSITY=verbose "$@"; }

did() { steps+=("\"$1\""); }

is t "$(psql -c 'SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()')"
if psql -d "sslrootcert=$STRANGER" -c 'SELECT 1' 2>"$place/err"; then die "a stranger's certificate passed"; fi
grep -q 'certificate verify failed' "$place/err" || die "$(cat "$place/err")"
did TLS

is $'product 7\nproduct 8\n1' "$(psql <<'END'
PREPARE product (int) AS SELECT name FROM products WHERE id = $1;
EXECUTE product (7);
EXECUTE product (8);
SELECT count(*) FROM pg_catalog.pg_prepared_statements;
END
)"
did "prepared statements"

is $'23505\n1\n0' "$(psql 2>"$place/err" <<END
BEGIN;
$mark;
SAVEPOINT within;
INSERT INTO orders (id, product_id) VALUES (1, 1);
\echo :SQLSTATE
ROLLBACK TO within;
COMMIT;
$marked;
DELETE FROM orders WHERE note = 'marked';
$marked;
END
)"
is 1000 "$(psql -v FETCH_COUNT=100 -c 'SELECT id FROM orders' | wc -l)"
did transactions

for ((id = 500; id < 600; id++)); do printf '%s\tcopied %s\t1\n' $id $id; done >"$place/rows"
is 100 "$(psql <<END | wc -l
BEGIN;
\copy products (id, name, price) FROM '$place/rows'
\copy (SELECT id FROM products WHERE id >= 500) TO STDOUT
ROLLBACK;
END
)"
did COPY

# As by Ctrl-C.
"$PSQL" -X -c 'SELECT pg_sleep(60)' >/dev/null 2>"$place/err" &
sleeper=$!
for ((attempt = 0; attempt < 300; attempt++)); do
    if [ "$(psql -c "$sleeping")" = 1 ]; then break; fi
    sleep 0.1
done
kill -INT $sleeper
wait $sleeper && die "it was not cancelled"
grep -q 'canceling statement due to user request' "$place/err" || die "$(cat "$place/err")"
did cancel

heard=$(psql -c 'LISTEN news' -c "SELECT 1 FROM pg_notify('news', 'größe')" -c 'SELECT 1')
[[ $heard == *'Asynchronous notification "news" with payload "größe" received'* ]] || die "no notification: $heard"
did LISTEN

# Four megabytes by COPY; less in the text of a statement.
head -c 4194304 /dev/zero | tr '\0' x >"$place/large"
head -c 262144 "$place/large" >"$place/words"
psql -c "\\copy documents (words) FROM '$place/large'"
is "$(md5sum <"$place/large" | cut -d' ' -f1)" "$(psql -c 'SELECT md5(words) FROM documents')"
psql -c '\copy documents (words) TO STDOUT' | tr -d '\n' | cmp - "$place/large"
psql <<END
\\set words \`cat $place/words\`
UPDATE documents SET words = :'words', body = convert_to(:'words', 'UTF8');
END
is "262144|262144" "$(psql -c 'SELECT length(words), length(body) FROM documents')"
psql -c 'DELETE FROM documents'
did "large values"

# The session of a refusal: what it says by SQLSTATE and in words, the abort, the savepoint, and that it goes on.
is $'42501\n1\n42501\n25P02\n0' "$(psql 2>"$place/err" <<END
BEGIN;
$mark;
SAVEPOINT within;
$secrets;
\echo :SQLSTATE
ROLLBACK TO within;
$marked;
$secrets;
\echo :LAST_ERROR_SQLSTATE
SELECT 1;
\echo :SQLSTATE
ROLLBACK;
$marked;
END
)"
expected=00000
if [ "$mode" = enforce ]; then expected=42501; fi
is "$expected"$'\n1000' "$(psql 2>/dev/null <<'END'
BEGIN;
DROP TABLE orders;
\echo :SQLSTATE
ROLLBACK;
SELECT count(*) FROM orders;
END
)"
did "refusal in a transaction"

# pgbench sends a pipeline: what stands before the refusal is rolled back, what stands behind it is not run.
printf '\\startpipeline\n%s;\n%s;\n%s;\n\\endpipeline\n' "$mark" "$secrets" "$mark" >"$place/pipeline"
if "$PGBENCH" -n -M extended -t 1 -f "$place/pipeline" >"$place/out" 2>"$place/piped"; then
    die "the pipeline passed: $(cat "$place/out" "$place/piped")"
fi
grep -q pg_authid "$place/piped" || die "$(cat "$place/piped")"
is 0 "$(psql -c "$marked")"
did "refusal in a pipeline"

# What libpq says where an administrator ends the session: the server's last words, and how its connection was closed.
ended=null
if [ "$mode" = open ]; then
    psql -c 'SELECT pg_terminate_backend(pg_backend_pid())' >"$place/out" 2>&1 && die "it was not ended"
    grep -q 57P01 "$place/out" || die "$(cat "$place/out")"
    ended=$(psql -v words="$(cat "$place/out")" <<<"SELECT to_json(:'words'::text)::text")
fi

# told FILE: the report of the first 42501 that a program wrote there, as JSON made by the database.
told() {
    psql -v sqlstate="$(sed -n 's/.*ERROR:  \(42501\): .*/\1/p' "$1" | head -n 1)" \
        -v message="$(sed -n 's/.*ERROR:  42501: //p' "$1" | head -n 1)" \
        -v detail="$(sed -n 's/^DETAIL:  //p' "$1" | head -n 1)" -v hint="$(sed -n 's/^HINT:  //p' "$1" | head -n 1)" <<'END'
SELECT json_build_object('type', 'ERROR', 'sqlstate', json_build_array(':SQLSTATE', :'sqlstate'), 'message',
    json_build_array(':LAST_ERROR_MESSAGE', :'message'), 'detail', json_build_array('DETAIL:', nullif(:'detail', '')),
    'hint', json_build_array('HINT:', nullif(:'hint', '')))::text;
END
}
bound=false
if [ "$PGCHANNELBINDING" = require ]; then bound=true; fi
version=$("$PSQL" --version | sed 's/[^0-9]*\([0-9.]*\).*/\1/')
IFS=,
printf '{"version": "%s", "bound": %s, "did": [%s], "refusals": {"transaction": %s}, "ended": %s}\n' "$version" "$bound" "${steps[*]}" "$(told "$place/err")" "$ended"
