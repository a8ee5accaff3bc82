"""Characters and texts for the test of encodings: what each client encoding can say to a database of each server encoding,
as that server's own conversions have it, with a liking for bytes that look like something else."""

import random

SERVERS = ("UTF8", "LATIN1", "EUC_JP", "SQL_ASCII")
PAIRS = ("SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "JOHAB", "GB18030", "EUC_JP", "EUC_CN", "EUC_KR", "EUC_TW",
         "EUC_JIS_2004")

# Second bytes that are a backslash, a brace, a bar, an at sign, letters: what a careless reader would trip over.
HOSTILE = set(b"\\[]^_`{|}~@abnrtuxABENUXZz0159")

FUNCTIONS = """
CREATE OR REPLACE FUNCTION pg_temp.converted(code bytea, client name, server name) RETURNS bytea LANGUAGE plpgsql AS
$$ BEGIN RETURN convert(code, client, server); EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;
"""


def client_encodings(cursor, server):
    """Those that the server converts from."""
    if server == "SQL_ASCII":
        return ["SQL_ASCII", "LATIN1", "UTF8", "EUC_JP", "SJIS"]
    cursor.execute("SELECT pg_encoding_to_char(conforencoding) FROM pg_conversion WHERE condefault"
                   " AND contoencoding = pg_char_to_encoding(%s) ORDER BY 1", (server,))
    return [row[0] for row in cursor.fetchall() if row[0] != "MULE_INTERNAL"] + [server, "SQL_ASCII"]


def codes(cursor, client, server):
    """(code, what the server makes of it) of every character of one byte or two, and some longer ones."""
    cursor.execute(FUNCTIONS)
    # A pair of bytes is one character only where its first byte is none by itself.
    cursor.execute("""
        WITH one AS (SELECT set_byte('\\x00', 0, i) AS code FROM generate_series(128, 255) i),
        two AS (SELECT o.code || set_byte('\\x00', 0, j) AS code FROM one o, generate_series(48, 254) j
                WHERE %(pairs)s AND pg_temp.converted(o.code, %(client)s, %(server)s) IS NULL),
        longer AS (SELECT unnest(%(longer)s::bytea[]) AS code)
        SELECT code, pg_temp.converted(code, %(client)s, %(server)s)
        FROM (TABLE one UNION ALL TABLE two UNION ALL TABLE longer) AS c""",
                   {"pairs": client in PAIRS, "client": client, "server": server, "longer": longer_codes(client)})
    return [(bytes(code), bytes(text)) for code, text in cursor.fetchall() if text is not None]


def longer_codes(client):
    if client == "GB18030":
        return [bytes([0x81, 0x30 + a, 0x81 + b, 0x30 + c]) for a in range(10) for b in range(0, 126, 5)
                for c in range(10)]
    if client in ("EUC_JP", "EUC_JIS_2004"):
        return [bytes([0x8f, a, b]) for a in range(0xa1, 0xff) for b in range(0xa1, 0xff, 3)]
    if client == "EUC_TW":
        return [bytes([0x8e, 0xa1 + a, b, c]) for a in range(3) for b in range(0xa1, 0xff, 3)
                for c in range(0xa1, 0xff, 3)]
    if client == "UTF8":
        return [chr(n).encode() for n in [*range(0xa0, 0x250), *range(0x3040, 0x3100), *range(0x4e00, 0x5000, 3),
                                          0x20ac, 0x1f600, 0xfeff, 0x2028]]
    return []


class Voice:
    """Speaks a client encoding: words, strings and comments in bytes."""

    def __init__(self, rng, alphabet, standard_strings):
        self.rng = rng
        self.standard_strings = standard_strings
        hostile = [code for code in alphabet if len(code) > 1 and set(code[1:]) & HOSTILE]
        self.alphabet, self.hostile = alphabet or [b"x"], hostile or alphabet or [b"x"]

    def character(self):
        kind = self.rng.random()
        if kind < 0.4:
            return self.rng.choice(self.hostile)
        if kind < 0.7:
            return self.rng.choice(self.alphabet)
        return self.rng.choice([b"a", b"Z", b"_", b"7", b"$"])

    def name(self):
        """An identifier, quoted or not."""
        if self.rng.random() < 0.5:
            return b"w" + b"".join(self.character() for _ in range(self.rng.randrange(1, 6)))
        text = b"".join(self.character() for _ in range(self.rng.randrange(1, 6)))
        return b'"' + text + self.rng.choice([b"", b'""', b"''", b"\\", b"--", b"/*"]) + b'"'

    def text(self, odd):
        return b"".join(self.character() if self.rng.random() < 0.8 else self.rng.choice(odd)
                        for _ in range(self.rng.randrange(0, 8)))

    def plain(self, prefix=b""):
        odd = [b"''", b'"', b"--", b"/*", b"$$", b" ", b"\n", b"E", b"users"]
        odd += [b"\\"] if self.standard_strings else [b"\\\\", b"\\'", b"\\n", b"\\101"]
        return prefix + b"'" + self.text(odd) + b"'"

    def escaped(self):
        return b"E'" + self.text([b"''", b"\\\\", b"\\'", b"\\n", b"\\x41", b"\\101", b'"', b"--"]) + b"'"

    def unicode(self):
        if not self.standard_strings:
            return self.plain()
        escape = self.rng.choice([b"\\", b"!"])
        odd = [escape + b"0041", escape + b"+000042", escape * 2, b"''"]
        clause = b"" if escape == b"\\" else self.rng.choice([b" UESCAPE '!'", b"/* \n */ uescape\n--\n'!'"])
        return b"U&'" + self.text(odd) + b"'" + clause

    def dollars(self):
        tag = b"".join(c for c in (self.character() for _ in range(3)) if c not in (b"$", b"7"))
        inside = b"".join(c for c in (self.character() for _ in range(6)) if c != b"$")
        return b"$" + tag + b"$" + inside + self.rng.choice([b"'", b"\\", b"$", b"--"]) + b" $" + tag + b"$"

    def continued(self):
        first = self.rng.choice([self.plain, self.escaped])()
        # What follows is read as what it goes on.
        return first + self.rng.choice([b"\n", b" \n ", b" -- it goes on\n"]) + b"'" + self.text([b"''"]) + b"'"

    def literal(self):
        return self.rng.choice([self.plain, self.plain, self.escaped, self.unicode, self.dollars, self.continued,
                                lambda: self.plain(b"N")])()

    def blank(self):
        kind = self.rng.random()
        if kind < 0.6:
            return b" "
        text = self.text([b"'", b'"', b"\\", b"$$", b"*", b"/ *"]).replace(b"*/", b"")
        if kind < 0.8:
            return b" /* " + text + self.rng.choice([b"", b" /* " + text + b" */ "]) + b" */ "
        return b" -- " + text.replace(b"\n", b"") + b"\n"


def statement(rng, voice, table, column):
    """One statement on table (id, column, note), as its client would write it."""
    b, literal, name, key = voice.blank, voice.literal, voice.name, str(rng.randrange(1, 9)).encode()
    t, a, label = table, name(), name()
    return rng.choice([
        lambda: b"INSERT INTO" + b() + t + b" (id, " + column + b") VALUES (" + key + b"," + b() + literal() +
        b") RETURNING " + column + b" AS " + label,
        lambda: b"INSERT INTO " + t + b" (" + column + b", id) SELECT " + literal() + b", 100 + id FROM " + t + b() +
        b"WHERE id < 4",
        lambda: b"INSERT INTO " + t + b" VALUES (9, " + literal() + b"," + literal() + b")",
        lambda: b"UPDATE " + t + b() + b"SET" + b() + column + b"=" + literal() + b" WHERE id = " + key,
        lambda: b"UPDATE " + t + b" AS " + a + b" SET note = " + literal() + b"," + b() + column + b" = " + a + b"." +
        column + b" || " + literal() + b" RETURNING " + a + b"." + column,
        lambda: b"SELECT" + b() + column + b"," + b() + literal() + b" AS " + label + b" FROM " + t + b" ORDER BY id",
        lambda: b"SELECT " + a + b"." + column + b() + label + b" FROM" + b() + t + b() + a + b" WHERE " + a + b"." +
        column + b" <> " + literal() + b" ORDER BY " + a + b".id",
        lambda: b"WITH " + a + b" (id, " + label + b") AS (SELECT id, " + column + b" FROM " + t + b") SELECT " + label +
        b"," + b() + column + b" FROM " + a + b" JOIN " + t + b" USING (id) ORDER BY id",
        lambda: b"DELETE FROM " + t + b" WHERE " + column + b" <>" + b() + literal() + b" RETURNING id, " + column,
        # Errors, whose places must be the client's.
        lambda: b"SELECT" + b() + literal() + b", " + column + b", nope FROM " + t,
        lambda: b"SELECT " + literal() + b"," + b() + column + b" FROM " + t + b" WHERE " + a + b".x = 1",
        lambda: b"UPDATE " + t + b" SET " + column + b" = " + literal() + b"," + b() + column + b" = 1",
        lambda: b"SELECT " + literal() + b() + column + b" " + literal() + b" FROM " + t,
    ])()


def rng_of(*seed):
    return random.Random(repr(seed))
