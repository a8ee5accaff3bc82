// The script of README.md with postgres.js: everything prepared and pipelined; COPY as streams; cursors; simple() too.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";

const [url, name] = process.argv.slice(2);
const ssl = url.includes("sslmode=require") ? { rejectUnauthorized: false } : false;
const FIRST = 1_000_000;
const sql = postgres(url.replace(/\?.*/, ""), { ssl, max: 1, onnotice: () => {} });
const column = sql(name);

const say = (step, ...values) => console.log(step, ...values.map((value) => JSON.stringify(value)));

async function failing(step, query) {
  try {
    await query;
    say(step, "no error");
  } catch (error) {
    say(step, error.code, error.message, error.position);
  }
}

const types = await sql`SELECT ${7}::int AS i, ${"héllo ' \\ $1"}::text AS t, ${"12.3400"}::numeric AS n,
  ${Buffer.from([0, 1, 255])}::bytea AS b, ${sql.json({ a: [1] })}::jsonb AS j, ${["x", null]}::text[] AS a, ${null}::bool AS o`;
say("types", types);
for (let i = 0; i < 12; i++) {
  const rows = await sql`SELECT ${column}, city FROM users WHERE user_id = ${i + 1}`;
  say("read", rows, rows.columns.map((c) => c.name));
}
say("insert", await sql`INSERT INTO users ${sql({ user_id: FIRST, [name]: "first" })} RETURNING user_id, ${column}, city`);
say("update", (await sql`UPDATE users SET ${column} = upper(${column}) WHERE user_id = ${FIRST}`).count);
const rows = Array.from({ length: 499 }, (_, n) => ({ user_id: FIRST + n + 1, [name]: `many ${n + 1}` }));
say("many", (await sql`INSERT INTO users ${sql(rows, "user_id", name)}`).count);
say("queued", await Promise.all(Array.from({ length: 50 }, (_, n) => sql`SELECT ${column} FROM users WHERE user_id = ${n + 1}`)));
await failing("duplicate", sql`INSERT INTO users ${sql({ user_id: FIRST, [name]: "x" })}`);
await failing("syntax", sql`SELECT ${column} FRM users`);
await failing("no column", sql`SELECT ${column}, nothing FROM users`);
say("multi", await sql.unsafe(`SELECT 1 AS one; SELECT ${name} FROM users WHERE user_id = 3`));
await failing("rolled back", sql.begin(async (tx) => {
  await tx`UPDATE users SET ${column} = 'gone' WHERE user_id = 1`;
  await failing("savepoint", tx.savepoint((inner) => inner`SELECT 1/0`));
  say("after savepoint", await tx`SELECT ${column} FROM users WHERE user_id = 1`);
  throw Object.assign(new Error("on purpose"), { code: "mine" });
}));
let total = 0;
await sql`SELECT user_id, ${column} AS v FROM users ORDER BY user_id`.cursor(300, (block) => {
  for (const row of block) total += Number(row.user_id) * 31 + row.v.length;
});
say("streamed", total);
const target = await sql`COPY users (user_id, ${column}) FROM STDIN`.writable();
await pipeline(Readable.from((function* lines() {
  for (let n = 1000; n < 3000; n++) yield `${FIRST + n}\tcopied ${n}\n`;
})()), target);
let copied = "";
for await (const block of await sql`COPY (SELECT user_id, ${column} FROM users WHERE user_id >= 1002990) TO STDOUT`.readable()) copied += block;
say("copy out", copied);
const told = new Promise((resolve) => { sql.listen("told", resolve).then(() => sql.notify("told", "something")); });
say("notify", await told);
const slow = sql`SELECT pg_sleep(60)`;
setTimeout(() => slow.cancel(), 300);
await failing("cancel", slow);
// The server signals twice for a cancel: what follows waits until that is over.
await new Promise((resolve) => { setTimeout(resolve, 200); });
say("large", (await sql`SELECT repeat('x', 3000000) || ${"y".repeat(1_000_000)}::text AS v`)[0].v.length);
say("delete", (await sql`DELETE FROM users WHERE user_id BETWEEN ${FIRST + 1} AND ${FIRST + 250}`).count);
await sql.end();
