"""What an asyncpg application does in a day, through the firewall. Connects by the PG... environment.

`observe`: everything passes. `enforce`: DDL is refused, and it also checks what a refusal looks like to the
application. `three-lines`: the same without COPY, which the smallest policy does not allow.
"""

import asyncio
import io
import sys

import asyncpg

mode = sys.argv[1]
assert mode in ("observe", "enforce", "three-lines"), mode


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

    if mode != "observe":
        for _ in range(2):
            try:
                await connection.execute("DROP TABLE orders")
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


asyncio.run(main())
print("asyncpg: ok")
