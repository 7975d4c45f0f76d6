// What an application on node-postgres does; scenario.js says how it is run.

const { once } = require('node:events')
const { Readable } = require('node:stream')
const { pipeline } = require('node:stream/promises')
const pg = require('pg')
const { from, to } = require('pg-copy-streams')
const scenario = require('./scenario.js')
const { assert, did, failure, enforced } = scenario

const config = {
  ssl: scenario.tls(process.env.PGSSLROOTCERT),
  enableChannelBinding: scenario.binding,
}
const mechanisms = new Set()

async function connect(more = {}) {
  const client = new pg.Client({ ...config, ...more })
  // There is no setting that insists on channel binding: look at what it chose.
  const send = client.connection.sendSASLInitialResponseMessage
  client.connection.sendSASLInitialResponseMessage = function (mechanism, response) {
    mechanisms.add(mechanism)
    return send.call(this, mechanism, response)
  }
  await client.connect()
  return client
}

const value = async (client, sql) => Object.values((await client.query(sql)).rows[0])[0]

async function main() {
  const client = await connect()
  const watcher = await connect()
  assert.equal(await value(client, scenario.ENCRYPTED), true)
  assert.equal(client.connection.stream.encrypted, true)
  const stranger = await failure(connect({ ssl: scenario.tls(process.env.STRANGER) }))
  assert.match(stranger.message, /unable to (verify|get)|self-signed|certificate/i)
  did('TLS')

  for (let id = 1; id < 20; id++) {
    const { rows } = await client.query({ name: 'product', text: 'SELECT name FROM products WHERE id = $1', values: [id] })
    assert.deepEqual(rows, [{ name: `product ${id}` }])
  }
  assert.equal(await value(client, scenario.PREPARED), 1)
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b')
  assert.deepEqual(several.map((result) => result.rows[0]), [{ a: 1 }, { b: 2 }])
  did('prepared statements')

  await client.query('BEGIN')
  await client.query(scenario.MARK)
  await client.query('SAVEPOINT inner_one')
  assert.equal((await failure(client.query('INSERT INTO orders (id, product_id) VALUES ($1, 1)', [1]))).code, '23505')
  await client.query('ROLLBACK TO SAVEPOINT inner_one')
  await client.query('COMMIT')
  assert.equal(await value(watcher, scenario.MARKED), 1)
  assert.equal((await client.query(scenario.UNMARK)).rowCount, 1)
  did('transactions')

  // By the package pg-copy-streams.
  await client.query('BEGIN')
  const rows = Array.from({ length: 100 }, (_, i) => `${500 + i}\tcopied ${500 + i}\t1\n`)
  await pipeline(Readable.from(rows), client.query(from('COPY products (id, name, price) FROM STDIN')))
  let out = ''
  for await (const chunk of client.query(to('COPY (SELECT id FROM products WHERE id >= 500) TO STDOUT'))) out += chunk
  assert.equal(out.split('\n').length, 101)
  await client.query('ROLLBACK')
  did('COPY')

  // Its cancel opens a connection without TLS, whatever the session has.
  let query
  const slept = failure(
    new Promise((resolve, reject) => {
      query = new pg.Query(scenario.SLEEP, (error, result) => (error ? reject(error) : resolve(result)))
      client.query(query)
    })
  )
  await scenario.wait(async () => (await value(watcher, scenario.SLEEPING)) === 1)
  new pg.Client({ ...config, ssl: false }).cancel(client, query)
  assert.equal((await slept).code, '57014')
  assert.equal(await value(client, scenario.ORDERS), 1000)
  did('cancel')

  await client.query('LISTEN news')
  const heard = once(client, 'notification')
  await watcher.query('SELECT pg_notify($1, $2)', ['news', 'größe'])
  const [notification] = await heard
  assert.deepEqual([notification.channel, notification.payload], ['news', 'größe'])
  assert.equal(notification.processId, watcher.processID)
  did('LISTEN')

  const { TEXT, BYTES } = scenario
  await client.query('INSERT INTO documents VALUES ($1, $2, $3)', [1, TEXT, BYTES])
  const large = await client.query('SELECT length(words) AS w, length(body) AS b, words, body FROM documents')
  const [row] = large.rows
  assert.deepEqual([row.w, row.b], [TEXT.length, BYTES.length])
  assert(row.words === TEXT && row.body.equals(BYTES))
  await client.query('DELETE FROM documents')
  did('large values')

  await client.query('BEGIN')
  await client.query(scenario.MARK)
  await client.query('SAVEPOINT inner_one')
  await failure(client.query(scenario.SECRETS))
  await client.query('ROLLBACK TO SAVEPOINT inner_one')
  assert.equal(await value(client, scenario.MARKED), 1)
  // With a name, without, and by the simple protocol.
  const error = await failure(client.query({ name: 'secrets', text: scenario.SECRETS, values: [] }))
  assert(error instanceof pg.DatabaseError)
  scenario.refusal('transaction', error.constructor.name, error)
  assert.equal((await failure(client.query('SELECT 1'))).code, '25P02')
  await client.query('ROLLBACK')
  assert.equal(await value(client, scenario.MARKED), 0)
  assert.equal((await failure(client.query(scenario.SECRETS))).code, '42501')
  await client.query('BEGIN')
  if (enforced) assert.equal((await failure(client.query(scenario.DROP))).code, '42501')
  else await client.query(scenario.DROP)
  await client.query('ROLLBACK')
  assert.equal(await value(client, scenario.ORDERS), 1000)
  did('refusal in a transaction')

  // `pipeline: true`: what is queued is sent at once, each query with a Sync of its own.
  const piped = await connect({ pipeline: true })
  const [first, refused, third] = await Promise.allSettled([
    piped.query(scenario.MARK),
    piped.query(scenario.SECRETS, []),
    piped.query(scenario.MARKED, []),
  ])
  assert.equal(first.status, 'fulfilled')
  assert.deepEqual(third.value.rows, [{ n: 1 }])
  scenario.refusal('pipeline', refused.reason.constructor.name, refused.reason)
  const [, , aborted] = await Promise.allSettled([
    piped.query('BEGIN'),
    piped.query(scenario.SECRETS, []),
    piped.query(scenario.MARK, []),
    piped.query('ROLLBACK'),
  ])
  assert.equal(aborted.reason.code, '25P02')
  assert.equal((await piped.query(scenario.UNMARK)).rowCount, 1)
  did('refusal in a pipeline')
  await Promise.all([piped.end(), client.end(), watcher.end()])

  // A pool goes on after an error, too.
  const pool = new pg.Pool({ ...config, max: 2 })
  await failure(pool.query(scenario.SECRETS))
  assert.deepEqual((await pool.query(scenario.ORDERS)).rows, [{ n: 1000 }])
  await pool.end()

  if (scenario.binding) assert.deepEqual([...mechanisms], ['SCRAM-SHA-256-PLUS'])
  scenario.report(require('pg/package.json').version, scenario.binding)
}

main()
