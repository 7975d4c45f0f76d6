// What an application on postgres.js does; scenario.js says how it is run.

const fs = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const postgres = require('postgres')
const scenario = require('./scenario.js')
const { assert, did, failure, enforced, TEXT, BYTES } = scenario

// It does not export it.
const manifest = path.join(path.dirname(require.resolve('postgres')), '../../package.json')
const { version } = JSON.parse(fs.readFileSync(manifest))

const connect = (more = {}) =>
  postgres({ ssl: scenario.tls(process.env.PGSSLROOTCERT), max: 1, onnotice: () => {}, ...more })

const value = async (sql, text) => Object.values((await sql.unsafe(text))[0])[0]

async function main() {
  const sql = connect()
  const watcher = connect()
  assert.equal(await value(sql, scenario.ENCRYPTED), true)
  const stranger = connect({ ssl: scenario.tls(process.env.STRANGER) })
  assert.match((await failure(stranger`SELECT 1`)).message, /unable to (verify|get)|self-signed|certificate/i)
  await stranger.end()
  did('TLS')

  for (let id = 1; id < 20; id++) {
    const [product] = await sql`SELECT name FROM products WHERE id = ${id}`
    assert.equal(product.name, `product ${id}`)
  }
  assert((await value(sql, scenario.PREPARED)) >= 1)
  const several = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()
  assert.deepEqual(several.map(([row]) => ({ ...row })), [{ a: 1 }, { b: 2 }])
  did('prepared statements')

  await sql.begin(async (sql) => {
    await sql.unsafe(scenario.MARK)
    const duplicate = sql.savepoint((sql) => sql`INSERT INTO orders (id, product_id) VALUES (${1}, 1)`)
    assert.equal((await failure(duplicate)).code, '23505')
  })
  assert.equal(await value(watcher, scenario.MARKED), 1)
  assert.equal((await sql.unsafe(scenario.UNMARK)).count, 1)
  let seen = 0
  await sql.begin(async (sql) => {
    await sql`SELECT id FROM orders`.cursor(100, (rows) => void (seen += rows.length))
  })
  assert.equal(seen, 1000)
  did('transactions')

  class RollBack extends Error {}
  const copied = sql.begin(async (sql) => {
    const rows = Array.from({ length: 100 }, (_, i) => `${500 + i}\tcopied ${500 + i}\t1\n`)
    await pipeline(Readable.from(rows), await sql`COPY products (id, name, price) FROM STDIN`.writable())
    let out = ''
    for await (const chunk of await sql`COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT`.readable()) out += chunk
    assert.equal(out.split('\n').length, 101)
    throw new RollBack()
  })
  assert((await failure(copied)) instanceof RollBack)
  did('COPY')

  const query = sql.unsafe(scenario.SLEEP)
  const slept = failure(query)
  await scenario.wait(async () => (await value(watcher, scenario.SLEEPING)) === 1)
  query.cancel()
  assert.equal((await slept).code, '57014')
  assert.equal(await value(sql, scenario.ORDERS), 1000)
  did('cancel')

  let hear
  const heard = new Promise((resolve) => (hear = resolve))
  const listener = await sql.listen('news', hear)
  await watcher.notify('news', 'größe')
  assert.equal(await heard, 'größe')
  await listener.unlisten()
  did('LISTEN')

  await sql`INSERT INTO documents VALUES (${1}, ${TEXT}, ${BYTES})`
  const [row] = await sql`SELECT length(words) AS w, length(body) AS b, words, body FROM documents`
  assert.deepEqual([row.w, row.b], [TEXT.length, BYTES.length])
  assert(row.words === TEXT && row.body.equals(BYTES))
  await sql`DELETE FROM documents`
  did('large values')

  const aborted = sql.begin(async (sql) => {
    await sql.unsafe(scenario.MARK)
    assert.equal((await failure(sql.savepoint((sql) => sql.unsafe(scenario.SECRETS)))).code, '42501')
    assert.equal(await value(sql, scenario.MARKED), 1)
    const error = await failure(sql.unsafe(scenario.SECRETS, [], { prepare: true }))
    assert(error instanceof postgres.PostgresError)
    scenario.refusal('transaction', error.name, error)
    await sql`SELECT 1`
  })
  // What it throws is the first error of the transaction, not the 25P02 of the last statement.
  const code = (await failure(aborted)).code
  assert(['42501', '25P02'].includes(code), code)
  assert.equal(await value(sql, scenario.MARKED), 0)
  const dropped = sql.begin(async (sql) => {
    await sql.unsafe(scenario.DROP)
    throw new RollBack()
  })
  const error = await failure(dropped)
  if (enforced) assert.equal(error.code, '42501')
  else assert(error instanceof RollBack)
  assert.equal(await value(sql, scenario.ORDERS), 1000)
  did('refusal in a transaction')

  // What isn't awaited one by one is sent at once, each query with a Sync of its own; an array in a transaction, too.
  const [first, refused, third] = await Promise.allSettled([
    sql.unsafe(scenario.MARK, [], { prepare: true }),
    sql.unsafe(scenario.SECRETS, [], { prepare: true }),
    sql.unsafe(scenario.MARKED, [], { prepare: true }),
  ])
  assert.equal(first.status, 'fulfilled')
  assert.equal(third.value[0].n, 1)
  scenario.refusal('pipeline', refused.reason.name, refused.reason)
  assert.equal((await sql.unsafe(scenario.UNMARK)).count, 1)
  const piped = sql.begin((sql) => [sql.unsafe(scenario.MARK), sql.unsafe(scenario.SECRETS), sql.unsafe(scenario.MARK)])
  assert.equal((await failure(piped)).code, '42501')
  assert.equal(await value(sql, scenario.MARKED), 0)
  did('refusal in a pipeline')

  await Promise.all([sql.end(), watcher.end()])
  // It never binds the channel.
  scenario.report(version, false)
}

main()
