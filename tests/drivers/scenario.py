"""What the scenarios in Python share: what they send, what they wait for, and the report that tests/drivers.rs reads.

Everybody connects by the PG... environment, as libpq understands it. The first argument says what is in the way:
`open`: nothing refuses (the server itself, or an observing firewall); `enforce`: a policy refuses DDL and more;
`three-lines`: the smallest policy, a part of the scenario, and no report.
"""

import json
import os
import sys
import time

mode = sys.argv[1]
open_ = mode == "open"
enforced = mode == "enforce"

# Four megabytes each.
TEXT = "größe ' ; -- " * 300_000
BYTES = bytes(range(256)) * 16_384

# The server itself refuses this one with 42501, the firewall before it.
SECRETS = "SELECT rolname FROM pg_catalog.pg_authid"
# The server would do this one.
DROP = "DROP TABLE orders"
SLEEP = "SELECT pg_sleep(60)"
SLEEPING = "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE wait_event = 'PgSleep'"
ENCRYPTED = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()"
PREPARED = "SELECT count(*) FROM pg_catalog.pg_prepared_statements"
MARKED = "SELECT count(*) FROM orders WHERE note = 'marked'"
MARK = "INSERT INTO orders (product_id, total, note) VALUES (1, 1, 'marked')"
UNMARK = "DELETE FROM orders WHERE note = 'marked'"

binding = os.environ.get("PGCHANNELBINDING") == "require"
# An authority that signed nothing here.
stranger = os.environ.get("STRANGER")

_did = []
_refusals = {}


def did(step):
    """This part of the scenario was reached and held."""
    _did.append(step)


def refusal(where, error, **fields):
    """What the driver's error object says: each field as (how to get at it, what it is)."""
    _refusals[where] = {"type": f"{type(error).__module__}.{type(error).__qualname__}", **fields}


def wait(true):
    """Asks until it is true; half a minute at most."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "waited for thirty seconds"
        time.sleep(0.02)


def report(version, bound):
    """The last line of a scenario."""
    print(json.dumps({"version": version, "bound": bound, "did": _did, "refusals": _refusals}))
