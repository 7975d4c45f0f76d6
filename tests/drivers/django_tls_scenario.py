"""What a Django application does over TLS; scenario.py says how it is run. django_scenario.py is a day of another one."""

import os
import threading
from decimal import Decimal

import django
from django.conf import settings

import scenario
from scenario import BYTES, DROP, MARK, MARKED, SECRETS, SLEEP, SLEEPING, TEXT, UNMARK, did, enforced

database = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["PGHOST"],
    "PORT": os.environ["PGPORT"],
    "USER": os.environ["PGUSER"],
    "PASSWORD": os.environ["PGPASSWORD"],
    "NAME": os.environ["PGDATABASE"],
    "OPTIONS": {
        "sslmode": os.environ["PGSSLMODE"],
        "sslrootcert": os.environ["PGSSLROOTCERT"],
        "channel_binding": os.environ["PGCHANNELBINDING"],
    },
}
options = database["OPTIONS"]
settings.configure(
    DATABASES={
        "default": database,
        # Values bound by the server; without it Django writes them into the text.
        "bound": database | {"OPTIONS": options | {"server_side_binding": True}},
        "stranger": database | {"OPTIONS": options | {"sslrootcert": scenario.stranger}},
    },
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()

from django.db import DatabaseError, IntegrityError, connection, connections, models, transaction  # noqa: E402
from django.db.utils import InternalError, OperationalError, ProgrammingError  # noqa: E402


class Order(models.Model):
    id = models.AutoField(primary_key=True)
    product_id = models.IntegerField(null=True)
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    note = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"


class Document(models.Model):
    id = models.IntegerField(primary_key=True)
    words = models.TextField()
    body = models.BinaryField()

    class Meta:
        app_label = "shop"
        db_table = "documents"


def value(sql, using="default"):
    with connections[using].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


assert value(scenario.ENCRYPTED) is True
assert connection.connection.pgconn.ssl_in_use
try:
    connections["stranger"].ensure_connection()
    raise AssertionError("a stranger's certificate passed")
except OperationalError as error:
    assert "certificate verify failed" in str(error), error
did("TLS")

with transaction.atomic():
    Order.objects.bulk_create([Order(product_id=7, total=number, note="marked") for number in range(1, 501)])
    try:
        with transaction.atomic():
            Order.objects.create(id=1, product_id=1)
        raise AssertionError("a duplicate key passed")
    except IntegrityError:
        pass
assert value(MARKED, "bound") == 500
assert sum(1 for _ in Order.objects.filter(note="marked").iterator(chunk_size=100)) == 500
assert Order.objects.filter(note="marked").aggregate(total=models.Sum("total"))["total"] == Decimal(125250)
try:
    with transaction.atomic():
        assert Order.objects.filter(note="marked").delete()[0] == 500
        raise KeyError
except KeyError:
    pass
assert Order.objects.using("bound").filter(note="marked").update(total=0) == 500
assert Order.objects.filter(note="marked").delete()[0] == 500
did("transactions")

# COPY is the driver's, underneath.
with transaction.atomic():
    with connection.cursor() as cursor:
        with cursor.copy("COPY products (id, name, price) FROM STDIN") as copy:
            for id in range(500, 600):
                copy.write_row((id, f"copied {id}", 1))
        with cursor.copy("COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 100
    transaction.set_rollback(True)
did("COPY")

seen = []


def sleep(cancelled=connection.connection):
    try:
        cancelled.execute(SLEEP)
    except Exception as error:
        seen.append(error)


thread = threading.Thread(target=sleep)
thread.start()
scenario.wait(lambda: value(SLEEPING, "bound") == 1)
connection.connection.cancel_safe()
thread.join()
assert seen[0].sqlstate == "57014", seen
assert value("SELECT 1") == 1
did("cancel")

with connection.cursor() as cursor:
    cursor.execute("LISTEN news")
value("SELECT pg_notify('news', 'größe')", "bound")
notify = next(connection.connection.notifies(timeout=30))
assert (notify.channel, notify.payload) == ("news", "größe")
did("LISTEN")

# Bound; and, less of it, in the text of the statement.
for using, words, body in (("bound", TEXT, BYTES), ("default", TEXT[:100_000], BYTES[:300_000])):
    Document.objects.using(using).create(id=1, words=words, body=body)
    document = Document.objects.using(using).get()
    assert (document.words, bytes(document.body)) == (words, body)
    document.delete()
did("large values")

try:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(MARK)
        try:
            with transaction.atomic():
                value(SECRETS)
            raise AssertionError("pg_authid was read")
        except ProgrammingError:
            pass
        assert value(MARKED) == 1
        try:
            value(SECRETS)
            raise AssertionError("pg_authid was read")
        except ProgrammingError as error:
            cause = error.__cause__
            scenario.refusal(
                "transaction",
                error,
                sqlstate=("error.__cause__.sqlstate", cause.sqlstate),
                message=("error.__cause__.diag.message_primary", cause.diag.message_primary),
                detail=("error.__cause__.diag.message_detail", cause.diag.message_detail),
                hint=("error.__cause__.diag.message_hint", cause.diag.message_hint),
            )
        value("SELECT 1")
    raise AssertionError("the transaction was not aborted")
except InternalError as error:
    assert error.__cause__.sqlstate == "25P02", error
assert value(MARKED) == 0
try:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(DROP)
        assert not enforced, "DROP TABLE passed"
        transaction.set_rollback(True)
except DatabaseError:
    assert enforced
assert Order.objects.count() == 1000
did("refusal in a transaction")

# Its pool, if it has one, or a worker: a connection that comes after the errors.
connections.close_all()
assert value("SELECT 1") == 1
scenario.report(django.__version__, scenario.binding)
