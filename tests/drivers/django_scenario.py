"""What a small Django application does in a day, and one thing more. Connects by the PG... environment.

`day`: two requests, each over a connection of its own, as two workers would answer them. `new`: a query that the application
has never sent: prints the event id of the refusal. `new-allowed`: the same query, which passes.
"""

import os
import re
import sys
from decimal import Decimal

import django
from django.conf import settings

mode = sys.argv[1]
assert mode in ("day", "new", "new-allowed"), mode

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "NAME": os.environ["PGDATABASE"],
            "OPTIONS": {"sslmode": os.environ["PGSSLMODE"]},
        }
    },
    USE_TZ=True,
    TIME_ZONE="UTC",
)
django.setup()

from django.db import DatabaseError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Q, Sum  # noqa: E402


class Product(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        app_label = "shop"
        db_table = "products"


class Order(models.Model):
    id = models.AutoField(primary_key=True)
    product = models.ForeignKey(Product, models.DO_NOTHING, null=True)
    total = models.DecimalField(max_digits=10, decimal_places=2, default=0)
    note = models.TextField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"


def request(number):
    """Lists, a detail page, a purchase, a form that fails, a report."""
    cheap = list(Product.objects.filter(price__lt=10).order_by("name")[:5])
    assert len(cheap) == 5, cheap
    product = Product.objects.get(pk=number)
    assert Product.objects.filter(name__icontains="product").exists()
    assert Product.objects.values_list("name", flat=True).get(pk=number) == f"product {number}"
    assert Product.objects.filter(Q(pk__in=[1, 2, 3]) | Q(price__gt=100)).count() > 3
    with transaction.atomic():
        order = Order.objects.create(product=product, total=Decimal("9.99"), note=f"it's order {number}")
        Order.objects.bulk_create([Order(product=product, total=number), Order(product=product, total=1)])
        Order.objects.filter(pk=order.pk).update(total=F("total") + 1)
        locked = Order.objects.select_for_update().get(pk=order.pk)
        assert locked.total == Decimal("10.99"), locked.total
        locked.note = "paid"
        locked.save()
        try:
            with transaction.atomic():
                Order.objects.create(product_id=4711, total=1)
                connection.check_constraints()
        except DatabaseError:
            pass
    latest = Order.objects.select_related("product").latest("id")
    assert latest.product.name == f"product {number}"
    sums = Order.objects.values("product__name").annotate(orders=Count("id"), turnover=Sum("total")).filter(orders__gt=0)
    assert len(sums.order_by("-turnover")[:3]) == 3
    assert Order.objects.aggregate(Avg("total"))["total__avg"] > 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT order_total(%s)", [order.pk])
        assert cursor.fetchone()[0] == Decimal("10.99")
    order.delete()


def forgotten():
    """Nobody has asked for this before."""
    return list(Product.objects.exclude(pk__in=Order.objects.values("product_id")).values_list("name", flat=True))


if mode == "day":
    for number in (7, 8):
        request(number)
        connection.close()
elif mode == "new-allowed":
    request(9)
    forgotten()
else:
    request(9)
    try:
        forgotten()
        sys.exit("it passed")
    except DatabaseError as error:
        print(error, file=sys.stderr)
        detail = error.__cause__.diag.message_detail
        print(re.search(r"event (\S+)", detail).group(1))
