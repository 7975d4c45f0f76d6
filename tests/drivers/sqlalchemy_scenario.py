"""What an SQLAlchemy application does with its default driver, psycopg: the ORM, the core, its pool; scenario.py says how it is run."""

import os
import threading
from decimal import Decimal

import sqlalchemy
from sqlalchemy import ForeignKey, create_engine, event, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

import scenario
from scenario import BYTES, DROP, MARK, MARKED, SECRETS, SLEEP, SLEEPING, TEXT, UNMARK, did, enforced

# psycopg takes host, user, TLS and channel binding from the environment.
engine = create_engine("postgresql+psycopg://", connect_args={"prepare_threshold": 2})


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[Decimal]


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int | None] = mapped_column(ForeignKey("products.id"))
    total: Mapped[Decimal]
    note: Mapped[str | None]
    product: Mapped[Product] = relationship()


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    words: Mapped[str]
    body: Mapped[bytes]


with engine.connect() as connection:
    assert connection.scalar(text(scenario.ENCRYPTED)) is True
    assert connection.connection.driver_connection.pgconn.ssl_in_use
try:
    create_engine("postgresql+psycopg://", connect_args={"sslrootcert": scenario.stranger}).connect()
    raise AssertionError("a stranger's certificate passed")
except OperationalError as error:
    assert "certificate verify failed" in str(error), error
did("TLS")

# Reflection, as migrations do it.
assert {"orders", "products"} <= set(sqlalchemy.inspect(engine).get_table_names())
assert [column["name"] for column in sqlalchemy.inspect(engine).get_columns("documents")] == ["id", "words", "body"]

with Session(engine) as session:
    for id in range(1, 8):
        assert session.scalars(select(Product).where(Product.id == id)).one().name == f"product {id}"
    assert session.scalar(text(scenario.PREPARED)) >= 1
did("prepared statements")

with Session(engine) as session:
    product = session.get(Product, 7)
    session.add_all([Order(product=product, total=number, note="marked") for number in range(1, 301)])
    session.flush()
    assert session.scalar(select(func.count()).where(Order.note == "marked")) == 300
    try:
        with session.begin_nested():
            session.add(Order(id=1, product=product, total=1))
            session.flush()
        raise AssertionError("a duplicate key passed")
    except IntegrityError:
        pass
    session.commit()
with Session(engine) as session:
    rows = session.execute(
        select(Product.name, func.sum(Order.total)).join(Order.product).where(Order.note == "marked").group_by(Product.name)
    ).all()
    assert rows == [("product 7", Decimal(45150))], rows
    session.execute(text(UNMARK))
    session.rollback()
    streamed = session.execute(select(Order.id), execution_options={"yield_per": 500, "stream_results": True})
    assert sum(1 for _ in streamed) == 1300
    assert session.execute(text(UNMARK)).rowcount == 300
    session.commit()
did("transactions")

# COPY is the driver's, underneath.
with engine.connect() as connection:
    with connection.connection.driver_connection.cursor() as cursor:
        with cursor.copy("COPY products (id, name, price) FROM STDIN") as copy:
            for id in range(500, 600):
                copy.write_row((id, f"copied {id}", 1))
        with cursor.copy("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 100
    assert connection.scalar(select(func.count()).select_from(Product)) == 200
    connection.rollback()
did("COPY")

with engine.connect() as connection, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watcher:
    seen = []

    def sleep():
        try:
            connection.execute(text(SLEEP))
        except DBAPIError as error:
            seen.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    scenario.wait(lambda: watcher.scalar(text(SLEEPING)) == 1)
    connection.connection.driver_connection.cancel_safe()
    thread.join()
    assert seen[0].orig.sqlstate == "57014", seen
    connection.rollback()
    assert connection.scalar(select(1)) == 1
    did("cancel")

    connection.execute(text("LISTEN news"))
    connection.commit()
    watcher.execute(select(func.pg_notify("news", "größe")))
    notify = next(connection.connection.driver_connection.notifies(timeout=30))
    assert (notify.channel, notify.payload) == ("news", "größe")
did("LISTEN")

with Session(engine) as session:
    session.add(Document(id=1, words=TEXT, body=BYTES))
    session.commit()
    row = session.execute(select(func.length(Document.words), func.length(Document.body), Document.words, Document.body)).one()
    assert tuple(row) == (len(TEXT), len(BYTES), TEXT, BYTES)
    session.execute(sqlalchemy.delete(Document))
    session.commit()
did("large values")

with engine.connect() as connection:
    connection.execute(text(MARK))
    savepoint = connection.begin_nested()
    try:
        connection.execute(text(SECRETS))
        raise AssertionError("pg_authid was read")
    except ProgrammingError as error:
        diag = error.orig.diag
        scenario.refusal(
            "transaction",
            error,
            sqlstate=("error.orig.sqlstate", error.orig.sqlstate),
            message=("error.orig.diag.message_primary", diag.message_primary),
            detail=("error.orig.diag.message_detail", diag.message_detail),
            hint=("error.orig.diag.message_hint", diag.message_hint),
        )
        assert not error.connection_invalidated
    try:
        connection.execute(select(1))
        raise AssertionError("the transaction was not aborted")
    except InternalError as error:
        assert error.orig.sqlstate == "25P02", error
    savepoint.rollback()
    assert connection.scalar(text(MARKED)) == 1
    connection.rollback()
    assert connection.scalar(text(MARKED)) == 0
    try:
        connection.execute(text(DROP))
        assert not enforced, "DROP TABLE passed"
    except ProgrammingError:
        assert enforced
    connection.rollback()
    assert connection.scalar(select(func.count()).select_from(Order)) == 1000
did("refusal in a transaction")

engine.dispose()
scenario.report(sqlalchemy.__version__, scenario.binding)
