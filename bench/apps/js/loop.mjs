// What both versions of the application do until SIGTERM: insert users and read them back, and look at the users the
// other version made. A name can be told from the key alone, so anybody's row can be checked by anybody.
//
// Where to connect: DATABASE_URL or the PG* variables. APP_TABLE (users), APP_FIRST_ID (both versions the same; the old
// one takes even keys, the new one odd ones). At the end a line of JSON on stdout; exit status 1 after any error.
import pg from 'pg';

const table = process.env.APP_TABLE ?? 'users';
const firstId = Number(process.env.APP_FIRST_ID ?? 2_000_000_000_000_000);
const workers = 3;
const shownErrors = 5;

const nameOf = (id, edition) => `js ${id} "${edition}" it's \\ ☃`;
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Wrong extends Error {}

function expect(what, got, want) {
    if (got !== want) throw new Wrong(`${what}: is ${JSON.stringify(got)}, must be ${JSON.stringify(want)}`);
}

class App {
    constructor({ version, column, parity }) {
        this.version = version;
        this.column = column;
        this.parity = parity;
        this.nextId = firstId + parity;
        this.stopping = false;
        this.counts = { inserts: 0, updates: 0, reads: 0, peer_reads: 0, transactions: 0 };
        this.errors = [];
        this.errorCount = 0;
        this.pool = new pg.Pool({
            connectionString: process.env.DATABASE_URL,
            application_name: `js-${version}-app`,
            max: workers,
        });
        this.pool.on('error', (error) => this.failed(error));
    }

    failed(error) {
        this.errorCount += 1;
        if (this.errors.length < shownErrors) this.errors.push(`${error.code ?? error.name}: ${error.message}`);
    }

    takeId() {
        const id = this.nextId;
        this.nextId += 2;
        return id;
    }

    // Goes on after the keys of an earlier run.
    async findFirstFreeId() {
        const found = await this.pool.query(
            `SELECT max(user_id) AS last FROM ${table} WHERE user_id >= $1 AND user_id % 2 = $2`,
            [firstId, this.parity],
        );
        if (found.rows[0].last !== null) this.nextId = Number(found.rows[0].last) + 2;
    }

    // A named statement: prepared once in each connection, executed through all that happens behind it.
    insertPrepared(id) {
        return this.pool.query({
            name: 'insert-user',
            text: `INSERT INTO ${table} (user_id, ${this.column}) VALUES ($1, $2) RETURNING ${this.column}`,
            values: [id, nameOf(id, 1)],
        });
    }

    insertSimple(id) {
        const name = pg.escapeLiteral(nameOf(id, 1));
        return this.pool.query(`INSERT INTO ${table} (user_id, ${this.column}) VALUES (${id}, ${name}) RETURNING ${this.column}`);
    }

    async insertMany() {
        const ids = [this.takeId(), this.takeId(), this.takeId()];
        const rows = ids.map((id) => `(${pg.escapeLiteral(nameOf(id, 1))}, ${id})`).join(', ');
        const made = await this.pool.query(`INSERT INTO ${table} (${this.column}, user_id) VALUES ${rows}`);
        expect('rows inserted', made.rowCount, ids.length);
        this.counts.inserts += ids.length;
        for (const id of ids) await this.readBack(id, 1);
    }

    async readBack(id, edition) {
        const byKey = await this.pool.query({
            name: 'read-user',
            text: `SELECT ${this.column} FROM ${table} WHERE user_id = $1`,
            values: [id],
        });
        expect(`${this.column} of ${id}`, byKey.rows[0]?.[this.column], nameOf(id, edition));
        const byName = await this.pool.query(`SELECT * FROM ${table} WHERE ${this.column} = $1`, [nameOf(id, edition)]);
        expect(`rows named like ${id}`, byName.rows.length, 1);
        expect(`${this.column} of ${id}, SELECT *`, byName.rows[0][this.column], nameOf(id, edition));
        this.counts.reads += 2;
    }

    async update(id) {
        const done = await this.pool.query({
            name: 'update-user',
            text: `UPDATE ${table} SET ${this.column} = $1 WHERE user_id = $2`,
            values: [nameOf(id, 2), id],
        });
        expect('rows updated', done.rowCount, 1);
        this.counts.updates += 1;
        await this.readBack(id, 2);
    }

    async transaction(id) {
        const client = await this.pool.connect();
        let broken = true;
        try {
            await client.query('BEGIN');
            await client.query(`INSERT INTO ${table} (user_id, ${this.column}) VALUES ($1, $2)`, [id, 'not for long']);
            await client.query(
                `INSERT INTO ${table} (user_id, ${this.column}) VALUES ($1, $2)
                 ON CONFLICT (user_id) DO UPDATE SET ${this.column} = EXCLUDED.${this.column}`,
                [id, nameOf(id, 1)],
            );
            await client.query('COMMIT');
            broken = false;
        } finally {
            client.release(broken); // a connection that failed inside a transaction is not used again
        }
        this.counts.transactions += 1;
        this.counts.inserts += 1;
        await this.readBack(id, 1);
    }

    // The newest rows of the other version, under the name this version knows.
    async readPeer() {
        const found = await this.pool.query({
            name: 'read-peer',
            text: `SELECT user_id, ${this.column} AS name FROM ${table}
                   WHERE user_id >= $1 AND user_id % 2 = $2 ORDER BY user_id DESC LIMIT 10`,
            values: [firstId, 1 - this.parity],
        });
        for (const { user_id: id, name } of found.rows)
            if (name !== nameOf(id, 1)) expect(`${this.column} of the other version's ${id}`, name, nameOf(id, 2));
        this.counts.peer_reads += found.rows.length;
    }

    async work() {
        while (!this.stopping) {
            try {
                const id = this.takeId();
                const made = await (id % 4 < 2 ? this.insertPrepared(id) : this.insertSimple(id));
                expect('name returned', made.rows[0][this.column], nameOf(id, 1));
                this.counts.inserts += 1;
                await this.readBack(id, 1);
                await this.update(id);
                await this.insertMany();
                await this.transaction(this.takeId());
                await this.readPeer();
            } catch (error) {
                this.failed(error);
                await wait(50);
            }
        }
    }

    async run() {
        await this.findFirstFreeId();
        await Promise.all(Array.from({ length: workers }, () => this.work()));
        await this.pool.end();
    }
}

export async function run(settings) {
    const app = new App(settings);
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => (app.stopping = true));
    try {
        await app.run();
    } catch (error) {
        app.failed(error);
    }
    console.log(JSON.stringify({ app: app.version, ...app.counts, errors: app.errorCount, first_errors: app.errors }));
    process.exitCode = app.errorCount > 0 ? 1 : 0;
}
