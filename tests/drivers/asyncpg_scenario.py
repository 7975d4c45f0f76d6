"""What an asyncpg application does in a day; scenario.py says how it is run.

`three-lines`: without COPY and what else the smallest policy does not allow.
"""

import asyncio
import io
import ssl

import asyncpg

import scenario
from scenario import BYTES, DROP, MARK, MARKED, SECRETS, SLEEP, SLEEPING, TEXT, UNMARK, did, enforced, mode

assert mode in ("open", "enforce", "three-lines"), mode


async def main() -> None:
    connection = await asyncpg.connect()
    # asyncpg prepares everything, names its statements, and asks for the types it doesn't know.
    assert await connection.fetchval("SELECT name FROM products WHERE id = $1", 7) == "product 7"
    assert await connection.fetchval("SELECT $1::text", "größe ' ; --") == "größe ' ; --"
    assert [row["id"] for row in await connection.fetch("SELECT id FROM products ORDER BY id LIMIT 2")] == [1, 2]
    assert await connection.execute("SELECT 1; SELECT 2") == "SELECT 1"

    async with connection.transaction():
        await connection.executemany(
            "INSERT INTO orders (product_id, total, note) VALUES ($1, $2, 'many')", [(1, 1), (2, 2), (3, 3)]
        )
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO orders (id, product_id) VALUES (1, 1)")
            raise AssertionError("a duplicate key passed")
        except asyncpg.UniqueViolationError:
            pass
    assert await connection.execute("DELETE FROM orders WHERE note = 'many'") == "DELETE 3"

    async with connection.transaction():
        seen = 0
        async for _ in connection.cursor("SELECT id FROM orders ORDER BY id", prefetch=100):
            seen += 1
        assert seen == 1000

    if mode != "three-lines":
        transaction = connection.transaction()
        await transaction.start()
        rows = [(id, f"copied {id}", 1) for id in range(500, 600)]
        assert await connection.copy_records_to_table("products", records=rows, columns=["id", "name", "price"]) == "COPY 100"
        out = io.BytesIO()
        await connection.copy_from_query("SELECT id FROM products WHERE id >= $1", 500, output=out)
        assert len(out.getvalue().splitlines()) == 100
        await transaction.rollback()
    await connection.close()

    # A pool: each release runs advisory unlock, CLOSE ALL, UNLISTEN and RESET ALL in one batch.
    async with asyncpg.create_pool(min_size=1, max_size=2) as pool:
        for _ in range(5):
            async with pool.acquire() as pooled:
                assert await pooled.fetchval("SELECT 1") == 1

    # Running into the application's own time limit sends a cancel request.
    connection = await asyncpg.connect()
    try:
        await connection.fetchval("SELECT count(*) FROM generate_series(1, 1000000000)", timeout=0.5)
        raise AssertionError("that was quick")
    except (TimeoutError, asyncio.TimeoutError):
        pass
    assert await connection.fetchval("SELECT 1") == 1

    if mode == "three-lines":
        for _ in range(2):
            try:
                await connection.execute(DROP)
                raise AssertionError("DROP TABLE passed")
            except asyncpg.InsufficientPrivilegeError as error:
                assert str(error).startswith("statement refused by policy"), error
                assert error.detail, error
            try:
                await connection.fetch("DELETE FROM orders WHERE id = $1 AND 1 = (SELECT count(*) FROM pg_shadow)", 1)
                raise AssertionError("pg_shadow was read")
            except asyncpg.InsufficientPrivilegeError:
                pass
        assert await connection.fetchval("SELECT count(*) FROM orders") == 1000
        await connection.close()
        return
    did("prepared statements")
    did("transactions")
    did("COPY")
    await further(connection)
    await connection.close()
    # It never binds the channel.
    scenario.report(asyncpg.__version__, False)


def refused(where, error):
    scenario.refusal(
        where,
        error,
        sqlstate=("error.sqlstate", error.sqlstate),
        message=("error.message", error.message),
        detail=("error.detail", error.detail),
        hint=("error.hint", error.hint),
    )


async def further(connection) -> None:
    """What the smallest policy has no rules for."""
    assert await connection.fetchval(scenario.ENCRYPTED) is True
    prepared = await connection.prepare("SELECT name FROM products WHERE id = $1")
    assert [await prepared.fetchval(id) for id in (1, 2)] == ["product 1", "product 2"]
    assert await connection.fetchval(scenario.PREPARED) >= 1
    try:
        await asyncpg.connect(ssl=ssl.create_default_context(cafile=scenario.stranger))
        raise AssertionError("a stranger's certificate passed")
    except ssl.SSLCertVerificationError:
        pass
    did("TLS")

    watcher = await asyncpg.connect()
    task = asyncio.create_task(connection.fetchval(SLEEP))
    while await watcher.fetchval(SLEEPING) == 0:
        await asyncio.sleep(0.02)
    # Its cancel is the task's: the request goes out, the server's answer is read and dropped.
    task.cancel()
    try:
        await task
        raise AssertionError("it was not cancelled")
    except asyncio.CancelledError:
        pass
    assert await connection.fetchval("SELECT 1") == 1
    while await watcher.fetchval(SLEEPING) != 0:
        await asyncio.sleep(0.02)
    did("cancel")

    heard = asyncio.get_running_loop().create_future()
    await connection.add_listener("news", lambda _, pid, channel, payload: heard.set_result((pid, channel, payload)))
    await watcher.execute("SELECT pg_notify('news', $1)", "größe")
    assert await asyncio.wait_for(heard, 30) == (watcher.get_server_pid(), "news", "größe")
    await watcher.close()
    did("LISTEN")

    await connection.execute("INSERT INTO documents VALUES ($1, $2, $3)", 1, TEXT, BYTES)
    row = await connection.fetchrow("SELECT length(words), length(body), words, body FROM documents")
    assert tuple(row) == (len(TEXT), len(BYTES), TEXT, BYTES)
    await connection.execute("DELETE FROM documents")
    did("large values")

    transaction = connection.transaction()
    await transaction.start()
    await connection.execute(MARK)
    try:
        async with connection.transaction():
            await connection.execute(SECRETS)
        raise AssertionError("pg_authid was read")
    except asyncpg.InsufficientPrivilegeError:
        pass
    assert await connection.fetchval(MARKED) == 1
    try:
        await connection.fetch(SECRETS)
        raise AssertionError("pg_authid was read")
    except asyncpg.InsufficientPrivilegeError as error:
        refused("transaction", error)
    try:
        await connection.fetchval("SELECT 1")
        raise AssertionError("the transaction was not aborted")
    except asyncpg.InFailedSQLTransactionError:
        pass
    await transaction.rollback()
    assert await connection.fetchval(MARKED) == 0
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(DROP)
        assert not enforced, "DROP TABLE passed"
    except asyncpg.InsufficientPrivilegeError:
        assert enforced
    await transaction.rollback()
    assert await connection.fetchval("SELECT count(*) FROM orders") == 1000
    did("refusal in a transaction")
    # No pipeline of several statements. `executemany` is one of many parameters; what fails in it fails as a whole.
    try:
        await connection.executemany("INSERT INTO orders (id, note) VALUES ($1, 'marked')", [(5000,), (5001,), (1,), (5002,)])
        raise AssertionError("a duplicate key passed")
    except asyncpg.UniqueViolationError:
        pass
    assert await connection.fetchval(MARKED) == 0
    assert await connection.execute(UNMARK) == "DELETE 0"


asyncio.run(main())
