// The script of README.md with node-postgres: extended protocol, named statements, a pool, a cursor of its own.
"use strict";
const { Client, Pool } = require("pg");

const [url, column] = process.argv.slice(2);
const ssl = url.includes("sslmode=require") ? { rejectUnauthorized: false } : false;
const settings = { connectionString: url.replace(/\?.*/, ""), ssl };
const FIRST = 1_000_000;

const say = (step, ...values) => console.log(step, ...values.map((value) => JSON.stringify(value)));

async function failing(step, promise) {
  try {
    await promise;
    say(step, "no error");
  } catch (error) {
    say(step, error.code, error.message, error.position);
  }
}

async function statements(client) {
  const types = await client.query(
    "SELECT $1::int, $2::text AS t, $3::numeric AS n, $4::bytea AS b, $5::jsonb AS j, $6::text[] AS a, $7::bool AS o, $8::int8 AS big",
    [7, "héllo ' \\ $1", "12.3400", Buffer.from([0, 1, 255]), { a: [1] }, ["x", null], null, "9007199254740993"],
  );
  say("types", types.rows, types.fields.map((f) => [f.name, f.dataTypeID]));
  for (let i = 0; i < 12; i++) {
    const text = `SELECT ${column}, city FROM users WHERE user_id = $1`;
    const read = await client.query({ name: "by key", text, values: [i + 1] });
    say("read", read.rows, read.fields.map((f) => f.name));
  }
  const inserted = await client.query(
    `INSERT INTO users (user_id, ${column}) VALUES ($1, $2) RETURNING user_id, ${column}, city`, [FIRST, "first"]);
  say("insert", inserted.rows, inserted.command, inserted.rowCount);
  say("update", (await client.query(`UPDATE users SET ${column} = upper(${column}) WHERE user_id = $1`, [FIRST])).rowCount);
  const ids = Array.from({ length: 499 }, (_, n) => FIRST + n + 1);
  const many = await client.query(`INSERT INTO users (user_id, ${column}) SELECT n, 'many ' || n FROM unnest($1::int8[]) n`, [ids]);
  say("many", many.rowCount);
  const multi = await client.query(`SELECT 1 AS one; SELECT ${column} FROM users WHERE user_id = 3; SELECT 'last' AS l`);
  say("multi", multi.map((result) => result.rows));
  await failing("duplicate", client.query(`INSERT INTO users (user_id, ${column}) VALUES ($1, 'x')`, [FIRST]));
  await failing("syntax", client.query(`SELECT ${column} FRM users`));
  await failing("no column", client.query(`SELECT ${column}, nothing FROM users WHERE user_id = $1`, [1]));
  // Several at once: the driver queues them, and the server answers in order.
  const queued = await Promise.all([1, 2, 3, 4].map((n) => client.query(`SELECT ${column} FROM users WHERE user_id = $1`, [n])));
  say("queued", queued.map((result) => result.rows));
}

async function transactions(client) {
  await client.query("BEGIN");
  await client.query(`UPDATE users SET ${column} = 'gone' WHERE user_id = 1`);
  await client.query("SAVEPOINT s");
  await failing("in transaction", client.query("SELECT 1/0"));
  await failing("aborted", client.query("SELECT $1::int", [1]));
  await client.query("ROLLBACK TO s");
  say("after savepoint", (await client.query(`SELECT ${column} FROM users WHERE user_id = 1`)).rows);
  await client.query("ROLLBACK");
}

async function asides(client) {
  const told = new Promise((resolve) => client.once("notification", (n) => resolve([n.channel, n.payload])));
  await client.query("LISTEN told");
  await client.query("NOTIFY told, 'something'");
  say("notify", await told);
  const canceller = new Client(settings);
  const over = new Promise((resolve) => canceller.connection.once("end", resolve));
  setTimeout(() => canceller.cancel(client, client.activeQuery), 300);
  await failing("cancel", client.query("SELECT pg_sleep(60)"));
  // The server signals twice for a cancel: what follows waits until that is over.
  await over;
  const large = await client.query("SELECT repeat('x', 3000000) || $1::text AS v", ["y".repeat(1_000_000)]);
  say("large", large.rows[0].v.length);
  const pool = new Pool({ ...settings, max: 8 });
  const together = await Promise.all(
    Array.from({ length: 100 }, (_, k) => pool.query(`SELECT ${column} FROM users WHERE user_id = $1`, [k + 1])));
  say("together", together.map((result) => result.rows[0][column]));
  await pool.end();
  const gone = await client.query("DELETE FROM users WHERE user_id BETWEEN $1 AND $2", [FIRST + 1, FIRST + 250]);
  say("delete", gone.rowCount);
}

(async () => {
  const client = new Client(settings);
  await client.connect();
  await statements(client);
  await transactions(client);
  await asides(client);
  await client.end();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
