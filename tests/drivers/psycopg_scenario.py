"""What a psycopg application does in a day; scenario.py says how it is run.

`three-lines`: without COPY and what else the smallest policy does not allow.
"""

import asyncio
import sys
import threading

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

import scenario
from scenario import BYTES, DROP, MARK, MARKED, SECRETS, SLEEP, SLEEPING, TEXT, UNMARK, did, enforced, mode

assert mode in ("open", "enforce", "three-lines"), mode

# Connecting, a query by each way of binding, and the transaction that psycopg opens by itself.
with psycopg.connect() as connection:
    assert connection.execute("SELECT name FROM products WHERE id = %s", [7]).fetchone() == ("product 7",)
    assert connection.execute("SELECT %s::text", ["größe ' ; --"]).fetchone() == ("größe ' ; --",)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    connection.rollback()

# Prepared statements: psycopg prepares after five executions; here at once.
with psycopg.connect(autocommit=True) as connection:
    for id in range(1, 20):
        row = connection.execute("SELECT id FROM products WHERE id = %s", [id], prepare=True).fetchone()
        assert row == (id,)
    with connection.cursor(binary=True, row_factory=dict_row) as cursor:
        assert cursor.execute("SELECT id, price FROM products WHERE id = 2").fetchone()["id"] == 2

# Transactions, savepoints, executemany (a pipeline), an explicit pipeline.
with psycopg.connect() as connection:
    with connection.transaction():
        connection.cursor().executemany(
            "INSERT INTO orders (product_id, total, note) VALUES (%s, %s, 'many')", [(1, 1), (2, 2), (3, 3)]
        )
        try:
            with connection.transaction():
                connection.execute("INSERT INTO orders (product_id, total) VALUES (NULL, 'no number')")
            raise AssertionError("that was no number")
        except errors.InvalidTextRepresentation:
            pass
    with connection.pipeline():
        first = connection.execute("SELECT count(*) FROM orders WHERE note = 'many'")
        second = connection.execute("DELETE FROM orders WHERE note = 'many'")
    assert first.fetchone() == (3,) and second.rowcount == 3

# A server-side cursor.
with psycopg.connect() as connection, connection.cursor(name="walk") as cursor:
    cursor.itersize = 100
    cursor.execute("SELECT id FROM orders ORDER BY id")
    assert sum(1 for _ in cursor) == 1000

# COPY in both directions.
if mode != "three-lines":
    with psycopg.connect() as connection, connection.cursor() as cursor:
        with cursor.copy("COPY products (id, name, price) FROM STDIN") as copy:
            for id in range(500, 600):
                copy.write_row((id, f"copied {id}", 1))
        with cursor.copy("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 100
        connection.rollback()

# A pool: what it does when a connection is handed out and comes back.
with ConnectionPool(min_size=1, max_size=2, check=ConnectionPool.check_connection) as pool:
    for _ in range(5):
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)

if mode == "three-lines":
    with psycopg.connect(autocommit=True) as connection:
        for prepare in (False, True):
            try:
                connection.execute(DROP, prepare=prepare)
                raise AssertionError("DROP TABLE passed")
            except errors.InsufficientPrivilege as error:
                assert error.diag.message_primary.startswith("statement refused by policy"), error
                assert error.diag.message_detail, error
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
    sys.exit()
did("prepared statements")
did("transactions")
did("COPY")

# Certificates are verified, and the login is bound to them where the environment says so.
with psycopg.connect(autocommit=True) as connection:
    assert connection.execute(scenario.ENCRYPTED).fetchone() == (True,)
    assert connection.pgconn.ssl_in_use
    # What it prepares has a name on the server.
    connection.execute("SELECT 1 + %s", [1], prepare=True)
    assert connection.execute(scenario.PREPARED).fetchone()[0] >= 1
try:
    psycopg.connect(sslrootcert=scenario.stranger)
    raise AssertionError("a stranger's certificate passed")
except psycopg.OperationalError as error:
    assert "certificate verify failed" in str(error), error
did("TLS")


def count(connection, query):
    return connection.execute(query).fetchone()[0]


def refused(where, error):
    diag = error.diag
    scenario.refusal(
        where,
        error,
        sqlstate=("error.sqlstate", error.sqlstate),
        message=("error.diag.message_primary", diag.message_primary),
        detail=("error.diag.message_detail", diag.message_detail),
        hint=("error.diag.message_hint", diag.message_hint),
    )


# Cancel, by a request of libpq's older kind, which is never encrypted, and of the newer.
with psycopg.connect(autocommit=True) as watcher, psycopg.connect(autocommit=True) as connection:
    for cancel in (connection.cancel, connection.cancel_safe):
        seen = []

        def sleep():
            try:
                connection.execute(SLEEP)
            except psycopg.Error as error:
                seen.append(error)

        thread = threading.Thread(target=sleep)
        thread.start()
        scenario.wait(lambda: count(watcher, SLEEPING) == 1)
        cancel()
        thread.join()
        assert isinstance(seen[0], errors.QueryCanceled), seen
        assert count(connection, "SELECT 1") == 1
    did("cancel")

    connection.execute("LISTEN news")
    watcher.execute("SELECT pg_notify('news', 'größe')")
    notify = next(connection.notifies(timeout=30))
    assert (notify.channel, notify.payload, notify.pid) == ("news", "größe", watcher.info.backend_pid)
    did("LISTEN")

    # In text and binary; the third is bound by the client.
    for id, (cursor, binary) in enumerate(
        [(connection.cursor(), False), (connection.cursor(binary=True), True), (psycopg.ClientCursor(connection), False)]
    ):
        place = "%b" if binary else "%s"
        # The text of a statement is not the place for so much.
        words, body = (TEXT[:100_000], BYTES[:300_000]) if isinstance(cursor, psycopg.ClientCursor) else (TEXT, BYTES)
        cursor.execute(f"INSERT INTO documents VALUES (%s, {place}, {place})", [id, words, body])
        row = cursor.execute("SELECT length(words), length(body), words, body FROM documents WHERE id = %s", [id]).fetchone()
        assert row == (len(words), len(body), words, body)
    connection.execute("DELETE FROM documents")
    did("large values")

# A refusal in a transaction: aborted as after any error, and a savepoint saves it.
with psycopg.connect() as connection:
    connection.execute(MARK)
    try:
        connection.execute(SECRETS)
        raise AssertionError("pg_authid was read")
    except errors.InsufficientPrivilege as error:
        refused("transaction", error)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
    try:
        connection.execute("SELECT 1")
        raise AssertionError("the transaction was not aborted")
    except errors.InFailedSqlTransaction:
        pass
    connection.rollback()
    assert count(connection, MARKED) == 0
    try:
        with connection.transaction():
            connection.execute(SECRETS)
    except errors.InsufficientPrivilege:
        pass
    assert count(connection, MARKED) == 0
    try:
        connection.execute(DROP, prepare=True)
        assert not enforced, "DROP TABLE passed"
    except errors.InsufficientPrivilege:
        assert enforced
    connection.rollback()
    assert count(connection, "SELECT count(*) FROM orders") == 1000
did("refusal in a transaction")

# A refusal in a pipeline: what stands before it is rolled back, what stands behind it is not run.
with psycopg.connect(autocommit=True) as connection:
    # An answer that is there already is read while more is sent: then the error comes before there is a cursor.
    behind = None
    try:
        with connection.pipeline() as pipeline:
            connection.execute(MARK)
            connection.execute(SECRETS)
            behind = connection.execute(MARK)
            pipeline.sync()
        raise AssertionError("the pipeline passed")
    except errors.InsufficientPrivilege as error:
        refused("pipeline", error)
    try:
        if behind is not None:
            behind.fetchone()
            raise AssertionError("what stands behind the refusal was run")
    except psycopg.errors.PipelineAborted:
        pass
    except psycopg.ProgrammingError:
        pass
    assert count(connection, MARKED) == 0
    with connection.pipeline() as pipeline:
        before = connection.execute(MARK)
        pipeline.sync()
        try:
            connection.execute(SECRETS)
            pipeline.sync()
            raise AssertionError("pg_authid was read")
        except errors.InsufficientPrivilege:
            pass
        after = connection.execute(MARKED)
        assert after.fetchone() == (1,) and before.rowcount == 1
    assert connection.execute(UNMARK).rowcount == 1
did("refusal in a pipeline")


async def asynchronous():
    """The same by its other interface, in short."""
    async with await psycopg.AsyncConnection.connect(autocommit=True) as connection:
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", [number]) for number in range(50)]
        assert [(await cursor.fetchone())[0] for cursor in cursors] == list(range(50))
        async with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            async with cursor.copy("COPY products (id, name, price) FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", "text", "numeric"])
                for id in range(500, 600):
                    await copy.write_row((id, f"copied {id}", 1))
            async with cursor.copy("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT") as copy:
                assert len([row async for row in copy.rows()]) == 100
        async with await psycopg.AsyncConnection.connect(autocommit=True) as watcher:
            task = asyncio.create_task(connection.execute(SLEEP))
            while (await (await watcher.execute(SLEEPING)).fetchone())[0] == 0:
                await asyncio.sleep(0.02)
            await connection.cancel_safe()
            try:
                await task
                raise AssertionError("it was not cancelled")
            except errors.QueryCanceled:
                pass
        try:
            await connection.execute(SECRETS)
            raise AssertionError("pg_authid was read")
        except errors.InsufficientPrivilege:
            pass
        assert (await (await connection.execute("SELECT count(*) FROM orders")).fetchone())[0] == 1000


asyncio.run(asynchronous())
scenario.report(psycopg.__version__, scenario.binding)
