"""What a psycopg application does in a day, through the firewall. Connects by the PG... environment.

`observe`: everything passes. `enforce`: DDL is refused, and it also checks what a refusal looks like to the
application. `three-lines`: the same without COPY, which the smallest policy does not allow.
"""

import sys

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

mode = sys.argv[1]
assert mode in ("observe", "enforce", "three-lines"), mode

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

if mode != "observe":
    with psycopg.connect(autocommit=True) as connection:
        for prepare in (False, True):
            try:
                connection.execute("DROP TABLE orders", prepare=prepare)
                raise AssertionError("DROP TABLE passed")
            except errors.InsufficientPrivilege as error:
                assert error.diag.message_primary.startswith("statement refused by policy"), error
                assert error.diag.message_detail, error
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
    with psycopg.connect() as connection:
        try:
            with connection.pipeline():
                connection.execute("INSERT INTO orders (product_id, total) VALUES (1, 1)")
                connection.execute("DROP TABLE orders")
                connection.execute("INSERT INTO orders (product_id, total) VALUES (1, 1)")
            raise AssertionError("the pipeline passed")
        except errors.InsufficientPrivilege:
            connection.rollback()
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1000,)

print("psycopg: ok")
