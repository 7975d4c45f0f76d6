"""psycopg with a type of the application's own, which it sends by its number once it is registered.

`refused`: the policy has no rule for it. `allowed`: it has one, and still none for functions.
"""

import enum
import sys

import psycopg
from psycopg import errors
from psycopg.types.enum import EnumInfo, register_enum


class Colour(enum.Enum):
    red = 1
    blue = 2


mode = sys.argv[1]
assert mode in ("refused", "allowed"), mode

with psycopg.connect(autocommit=True) as connection:
    register_enum(EnumInfo.fetch(connection, "colour"), connection, Colour)
    # Named in the text, the type is one of the path's.
    assert connection.execute("SELECT 'red'::colour").fetchone() == (Colour.red,)
    try:
        assert connection.execute("SELECT %s", [Colour.blue]).fetchone() == (Colour.blue,)
        assert mode == "allowed", "it passed"
    except errors.InsufficientPrivilege as error:
        assert mode == "refused", error
        assert "use of the type with number" in error.diag.message_primary, error.diag.message_primary
        assert 'actions: ["call:type"]' in error.diag.message_hint, error.diag.message_hint
    try:
        connection.execute("SELECT painted(1)")
        raise AssertionError("a function passed")
    except errors.InsufficientPrivilege:
        pass
