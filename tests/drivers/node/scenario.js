// What the scenarios in JavaScript share: what they send, what they wait for, and the report that tests/drivers.rs reads.
//
// Everybody connects by the PG... environment. The argument says what is in the way: `open`: nothing refuses (the server
// itself, or an observing firewall); `enforce`: a policy refuses DDL and more.

const assert = require('node:assert/strict')
const fs = require('node:fs')

const enforced = process.argv[2] === 'enforce'
assert(enforced || process.argv[2] === 'open', process.argv[2])

const did = []
const refusals = {}

// Whatever is thrown beside a promise ends the scenario, and so do promises that nobody fulfils.
process.on('unhandledRejection', (error) => {
  console.error(error)
  process.exit(1)
})
let reported = false
process.on('exit', (code) => {
  if (code === 0 && !reported) {
    console.error('the scenario stopped after', did.at(-1))
    process.exitCode = 1
  }
})

module.exports = {
  assert,
  enforced,
  binding: process.env.PGCHANNELBINDING === 'require',
  // Four megabytes each.
  TEXT: "größe ' ; -- ".repeat(300_000),
  BYTES: Buffer.alloc(4 << 20, Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))),
  // The server itself refuses this one with 42501, the firewall before it.
  SECRETS: 'SELECT rolname FROM pg_catalog.pg_authid',
  // The server would do this one.
  DROP: 'DROP TABLE orders',
  SLEEP: 'SELECT pg_sleep(60)',
  SLEEPING: "SELECT count(*)::int AS n FROM pg_catalog.pg_stat_activity WHERE wait_event = 'PgSleep'",
  ENCRYPTED: 'SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()',
  PREPARED: 'SELECT count(*)::int AS n FROM pg_catalog.pg_prepared_statements',
  ORDERS: 'SELECT count(*)::int AS n FROM orders',
  MARKED: "SELECT count(*)::int AS n FROM orders WHERE note = 'marked'",
  MARK: "INSERT INTO orders (product_id, total, note) VALUES (1, 1, 'marked')",
  UNMARK: "DELETE FROM orders WHERE note = 'marked'",

  // TLS that trusts the authority of this file alone.
  tls: (file) => ({ ca: fs.readFileSync(file), rejectUnauthorized: true }),

  // This part of the scenario was reached and held.
  did: (step) => did.push(step),

  // What the driver's error object says: how to get at each field, and what it is.
  refusal(where, type, error) {
    const field = (name) => [`error.${name}`, error[name] ?? null]
    refusals[where] = { type, sqlstate: field('code'), message: field('message'), detail: field('detail'), hint: field('hint') }
  },

  // The error that a promise ends in.
  async failure(promise) {
    let value
    try {
      value = await promise
    } catch (error) {
      return error
    }
    assert.fail(`it passed: ${JSON.stringify(value)}`)
  },

  // Asks until it is true; half a minute at most.
  async wait(holds) {
    const deadline = Date.now() + 30_000
    while (!(await holds())) {
      assert(Date.now() < deadline, 'waited for thirty seconds')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },

  // The last line of a scenario.
  report(version, bound) {
    reported = true
    console.log(JSON.stringify({ version, bound, did, refusals }))
  },
}
