// One connection of the `pg` driver with named statements, through a whole migration. Reads a line for each round; answers
// `fine`, or what was wrong. Argument: a connection string.
'use strict';
const { deepStrictEqual } = require('assert');
const readline = require('readline');
const { Client } = require('pg');

const texts = {
  insertOld: 'INSERT INTO users (nickname) VALUES ($1) RETURNING user_id',
  insertNew: 'INSERT INTO users (username) VALUES ($1) RETURNING user_id',
  update: 'UPDATE users SET username = $2 WHERE nickname = $1',
  star: 'SELECT * FROM users WHERE user_id = $1',
  names: 'SELECT nickname, username FROM users WHERE user_id = $1',
};

async function round(client, name) {
  const run = async (statement, ...values) =>
    (await client.query({ name: statement, text: texts[statement], values })).rows;
  for (const insert of ['insertOld', 'insertNew']) {
    const value = `${insert}-${name}`;
    const [{ user_id: id }] = await run(insert, value);
    deepStrictEqual(await run('names', id), [{ nickname: value, username: value }]);
    await run('update', value, value + '!');
    deepStrictEqual(await run('star', id), [{ user_id: id, nickname: value + '!', score: 1, username: value + '!' }]);
  }
}

async function main() {
  const client = new Client({ connectionString: process.argv[2] });
  await client.connect();
  for await (const name of readline.createInterface({ input: process.stdin })) {
    try {
      await round(client, name);
      console.log('fine');
    } catch (e) {
      console.log(`${name}: ${e.code || ''} ${e.message}`.replace(/\n/g, ' '));
    }
  }
  await client.end();
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
