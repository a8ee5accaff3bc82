// What an application does with the `pg` driver, one line of output a step: run once directly and once through segue, the
// two outputs must be the same. Argument: a connection string.
'use strict';
const { Client, Pool, types } = require('pg');

const connectionString = process.argv[2];
const show = (step, value) => console.log(step, JSON.stringify(value));
const shape = (result) => ({
  command: result.command, count: result.rowCount, rows: result.rows,
  fields: result.fields.map((f) => [f.name, f.dataTypeID, f.columnID, f.format]),
});

async function expectError(step, promise) {
  try {
    await promise;
    show(step, 'no error');
  } catch (e) {
    show(step, { code: e.code, message: e.message, position: e.position, severity: e.severity, column: e.column,
                 table: e.table, constraint: e.constraint });
  }
}

async function statements(client) {
  show('create', (await client.query('CREATE TABLE js_t (id serial PRIMARY KEY, v text, j jsonb, d timestamptz)')).command);
  show('insert', shape(await client.query('INSERT INTO js_t (v, j, d) VALUES ($1, $2, $3) RETURNING *',
    ['a', { k: [1, 2, null] }, new Date(0)])));
  for (let i = 0; i < 20; i++) {
    const named = { name: 'ins', text: 'INSERT INTO js_t (v) VALUES ($1) RETURNING id', values: ['n' + i] };
    show('named', shape(await client.query(named)));
  }
  show('array', shape(await client.query({ text: 'SELECT id, v FROM js_t ORDER BY id', rowMode: 'array' })));
  show('binary', (await client.query({ text: 'SELECT 1::int4 AS i, true AS b', binary: true })).rows);
  show('several', (await client.query('SELECT 1 AS a; SELECT 2 AS b; INSERT INTO js_t (v) VALUES (\'s\')')).map(shape));
  show('empty', shape(await client.query('')));
  show('null', shape(await client.query('SELECT $1::text AS n', [null])));
  show('large', (await client.query('SELECT length($1::text) AS n', ['x'.repeat(3000000)])).rows);
  show('many', (await client.query('SELECT g FROM generate_series(1, 20000) g')).rows.length);
}

async function errors(client) {
  await expectError('syntax', client.query('SELEC 1'));
  await expectError('column', client.query('SELECT nope FROM js_t WHERE id = $1', [1]));
  await expectError('unique', client.query('INSERT INTO js_t (id) VALUES (1)'));
  await client.query('BEGIN');
  await expectError('in transaction', client.query('SELECT 1/0'));
  await expectError('aborted', client.query('SELECT 1'));
  show('rollback', (await client.query('ROLLBACK')).command);
}

async function pipelined(client) {
  // The driver queues them; none waits for the one before.
  const all = [];
  for (let i = 0; i < 200; i++) all.push(client.query('SELECT $1::int AS i', [i]));
  show('queued', (await Promise.all(all)).map((r) => r.rows[0].i));
}

async function pooled() {
  const pool = new Pool({ connectionString, max: 5 });
  const sums = await Promise.all(Array.from({ length: 50 }, (_, i) => pool.query('SELECT $1::int * 2 AS d', [i])));
  show('pool', sums.map((r) => r.rows[0].d));
  await pool.end();
}

async function notifications(client) {
  const other = new Client({ connectionString });
  await other.connect();
  const heard = new Promise((resolve) => client.once('notification', (m) => resolve([m.channel, m.payload])));
  await client.query('LISTEN js_channel');
  await other.query("NOTIFY js_channel, 'hello'");
  show('notification', await heard);
  await other.end();
}

async function main() {
  types.setTypeParser(1184, (text) => text);
  const client = new Client({ connectionString });
  const notices = [];
  client.on('notice', (n) => notices.push([n.severity, n.message]));
  await client.connect();
  await client.query("SET timezone = 'UTC'");
  await statements(client);
  await errors(client);
  await pipelined(client);
  await pooled();
  await notifications(client);
  await client.query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$");
  show('notices', notices);
  await client.query('DROP TABLE js_t');
  await client.end();
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
