"""A database with a schema for each tenant, and the same tables in all of them."""

import psycopg2
import pytest

from wire import Wire


def tables(schema, extra=""):
    return f"""
        CREATE SCHEMA IF NOT EXISTS {schema};
        CREATE TABLE {schema}.users (id int PRIMARY KEY, nickname text, email text {extra});
        CREATE TABLE {schema}.orders (id int PRIMARY KEY, user_id int, note text);
        INSERT INTO {schema}.users VALUES (1, '{schema} one', 'e1'), (2, '{schema} two', 'e2');
        INSERT INTO {schema}.orders VALUES (1, 1, 'n');
    """


def probes(segue):
    return int(next(row for row in segue.console.rows("SHOW COUNTERS") if row["name"] == "probes")["value"])


class World:
    """Tenants a, b and c; those given are under migration, and stand in the middle of it."""

    def __init__(self, cluster, database, segue, mapped):
        self.cluster, self.database, self.segue = cluster, database, segue
        self.direct = cluster.connect(database)
        self.direct.autocommit = True
        self.cursor = self.direct.cursor()
        self.cursor.execute("".join(tables(schema) for schema in ("a", "b", "c")))
        for schema in mapped:
            name = f"m_{schema}"
            segue.console.run(f"CREATE MIGRATION {name} ON {schema}.users RENAME COLUMN nickname TO username")
            segue.console.start(name)

    def both(self, schema):
        self.cursor.execute(f"SELECT id, nickname, username FROM {schema}.users ORDER BY id")
        return self.cursor.fetchall()

    def old(self, schema):
        self.cursor.execute(f"SELECT id, nickname FROM {schema}.users ORDER BY id")
        return self.cursor.fetchall()

    def wire(self, **parameters):
        return Wire(self.segue.port, self.database, **parameters)

    def connect(self, options=""):
        conn = psycopg2.connect(self.segue.conninfo(self.database) + f" options='{options}'")
        conn.autocommit = True
        return conn


@pytest.fixture
def make_world(cluster, database, segue):
    made = []

    def make(*mapped):
        made.append(World(cluster, database, segue, mapped))
        return made[-1]

    yield make
    for world in made:
        world.direct.close()


@pytest.fixture
def world(make_world):
    return make_world("a")
