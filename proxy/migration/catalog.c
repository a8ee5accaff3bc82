#include "proxy/migration/catalog.h"

#include "proxy/migration/charset.h"

#include <stdlib.h>
#include <string.h>

/* Temporary tables come and go with every session and belong to no other; TOAST and indexes are no relations to SQL. */
#define USER_RELATIONS                                                                                         \
    "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'pg_toast'," \
    " 'information_schema', 'segue') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'"

static const char columns_sql[] =
    "SELECT c.oid, n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, NULL),"
    " pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '', a.attidentity <> ''"
    " FROM " USER_RELATIONS " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum ORDER BY c.oid, a.attnum";

const char sg_sql_note_members[] =
    "INSERT INTO segue.member (migration_id, relid, shape) SELECT f.migration_id, f.relid, f.shape"
    " FROM segue.found_member f JOIN segue.migration m ON m.id = f.migration_id AND m.phase <> 'retired'"
    " WHERE f.shape IS NOT NULL ON CONFLICT DO NOTHING";

/*
 * Functions that may leave the session with another search_path or role (their own SET clause does not), and such as
 * may make a temporary table that hides a mapped one. What an extension brings puts things back, or is called once by
 * hand.
 */
#define USER_FUNCTIONS                                                                                              \
    "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname NOT IN ('pg_catalog',"                   \
    " 'information_schema', 'segue') AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass" \
    " AND e.objid = p.oid AND e.deptype = 'e')"

static const char functions_sql[] =
    "SELECT coalesce(bool_or(p.prosrc ~* '\\m(search_path|session_authorization|client_encoding|pg_settings|discard|"
    "standard_conforming_strings)\\M|\\mset_config\\s*\\(\\s*[^''[:space:]]|\\m(set|reset)\\s+((local|session)\\s+)?"
    "(role|authorization|names|schema|all)\\M'), false),"
    " coalesce(bool_or(p.prosrc ~* '\\m(temp|temporary|pg_temp)\\M' AND EXISTS (SELECT FROM segue.target t"
    "   WHERE position(lower(t.relname) IN lower(p.prosrc)) > 0)), false) FROM " USER_FUNCTIONS;

/* What else a name's meaning depends on: functions as above, rights on schemas, the server's configuration. */
#define SURROUNDINGS                                                                                                 \
    "(SELECT sum(hashtextextended(concat_ws('.', p.oid, p.xmin), 0)) FROM pg_proc p JOIN pg_namespace n ON n.oid = " \
    "p.pronamespace"                                                                                                 \
    "   WHERE p.oid >= 16384 AND n.nspname <> 'segue' AND n.nspname !~ '^pg_(toast_)?temp_'),"                       \
    " (SELECT sum(hashtextextended(concat_ws('.', n.oid, n.nspname, n.nspacl), 0)) FROM pg_namespace n"              \
    "   WHERE n.nspname !~ '^pg_(toast_)?temp_'), pg_conf_load_time()"

/* Values, not xmin: TRUNCATE and REINDEX change nothing that a statement's meaning depends on. A default that is set
 * anew gets a new row in pg_attrdef. */
static const char digest_sql[] =
    "SELECT concat_ws('/', count(*), sum(hashtextextended(concat_ws('.', c.oid, n.nspname, c.relname, c.relkind,"
    "   a.attnum, a.attname, a.atttypid, d.oid, a.attgenerated, a.attidentity), 0)),"
    "   (SELECT sum(hashtextextended(concat_ws('<', inhrelid, inhparent), 0)) FROM pg_inherits), " SURROUNDINGS ")"
    " FROM " USER_RELATIONS " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum";

/* A mapping whose table or column somebody has dropped is left out: the server itself then answers those who use it.
 * Its own table first, then the members; one row a column. */
static const char mappings_sql[] =
    "WITH member AS (SELECT migration_id, relid, shape FROM segue.member"
    "   UNION ALL SELECT f.migration_id, f.relid, f.shape FROM segue.found_member f)"
    " SELECT t.id, m.name, t.nspname, t.relname, t.old_name, t.new_name, m.phase, s.name, s.type, s.default_sql,"
    " s.is_generated, s.is_identity, t.relid, m.guard"
    " FROM segue.migration m JOIN segue.target r USING (id) JOIN segue.part t USING (id)"
    " LEFT JOIN member b ON b.migration_id = t.id AND b.relid = t.relid"
    " CROSS JOIN ROWS FROM (jsonb_to_recordset(CASE WHEN t.is_root THEN m.shape ELSE b.shape END) AS (name text,"
    "   type text, default_sql text, is_generated boolean, is_identity boolean)) WITH ORDINALITY AS s(name, type,"
    "   default_sql, is_generated, is_identity, n)"
    " WHERE m.phase <> 'retired' AND (r.old_num IS NOT NULL OR m.phase = 'new_only')"
    "   AND (r.new_num IS NOT NULL OR m.phase = 'planned') ORDER BY t.id, t.is_root DESC, t.relid, s.n";

static const char *text_or_null(const PGresult *rows, int row, int column) {
    return PQgetisnull(rows, row, column) ? NULL : PQgetvalue(rows, row, column);
}

static bool flag(const PGresult *rows, int row, int column) {
    return *PQgetvalue(rows, row, column) == 't';
}

/* Five adjacent fields from `at` on. The strings live as long as the result. */
static struct sg_column column_of(const PGresult *rows, int row, int at) {
    return (struct sg_column){
        .name = PQgetvalue(rows, row, at),
        .type = PQgetvalue(rows, row, at + 1),
        .default_sql = text_or_null(rows, row, at + 2),
        .is_generated = flag(rows, row, at + 3),
        .is_identity = flag(rows, row, at + 4),
    };
}

static struct sg_catalog *load_relations(PGconn *conn, struct sg_characters *characters, struct sg_error *reterr) {
    PGresult *rows = sg_db_query(conn, columns_sql, 0, NULL, reterr);
    if (!rows) {
        return NULL;
    }
    struct sg_catalog *catalog = sg_catalog_new();
    size_t relation = 0;
    const char *oid = "";
    for (int i = 0; i < PQntuples(rows); i++) {
        if (strcmp(oid, PQgetvalue(rows, i, 0)) != 0) {
            oid = PQgetvalue(rows, i, 0);
            relation = sg_catalog_add_relation(catalog, PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 2),
                                               *PQgetvalue(rows, i, 3));
        }
        if (!PQgetisnull(rows, i, 4)) {
            struct sg_column column = column_of(rows, i, 4);
            sg_catalog_add_column(catalog, relation, &column);
        }
    }
    sg_characters_add(characters, rows);
    PQclear(rows);
    return catalog;
}

static bool load_functions(PGconn *conn, struct sg_catalog *catalog, struct sg_error *reterr) {
    PGresult *row = sg_db_query(conn, functions_sql, 0, NULL, reterr);
    if (row) {
        sg_catalog_set_functions(catalog, flag(row, 0, 0), flag(row, 0, 1));
    }
    PQclear(row);
    return row != NULL;
}

/* Rows of mappings_sql as mappings: consecutive rows with the same id are one mapping, with the same table one shape.
 */
struct mapping_rows {
    struct sg_column *columns;
    struct sg_member *members;
    struct sg_mapping *mappings;
    size_t members_len, mappings_len;
};

enum { ID, MIGRATION, SCHEMA, TABLE, OLD, NEW, PHASE, COLUMN, RELID = COLUMN + 5, GUARD };

static bool continues(const PGresult *rows, int i, int column) {
    return i > 0 && strcmp(PQgetvalue(rows, i, column), PQgetvalue(rows, i - 1, column)) == 0;
}

static void add_row(struct mapping_rows *read, const PGresult *rows, int i) {
    bool same_mapping = continues(rows, i, ID), same_table = same_mapping && continues(rows, i, RELID);
    if (!same_mapping) {
        struct sg_mapping *mapping = &read->mappings[read->mappings_len++];
        *mapping = (struct sg_mapping){.migration = PQgetvalue(rows, i, MIGRATION),
                                       .schema = PQgetvalue(rows, i, SCHEMA),
                                       .table = PQgetvalue(rows, i, TABLE),
                                       .old_name = PQgetvalue(rows, i, OLD),
                                       .new_name = PQgetvalue(rows, i, NEW),
                                       .is_unguarded = !flag(rows, i, GUARD),
                                       .shape = &read->columns[i],
                                       .members = &read->members[read->members_len]};
        sg_phase_from_name(PQgetvalue(rows, i, PHASE), &mapping->phase);
    }
    struct sg_mapping *mapping = &read->mappings[read->mappings_len - 1];
    if (same_mapping && !same_table) {
        read->members[read->members_len++] =
            (struct sg_member){PQgetvalue(rows, i, SCHEMA), PQgetvalue(rows, i, TABLE), &read->columns[i], 0};
        mapping->members_len++;
    }
    if (mapping->members_len > 0) {
        read->members[read->members_len - 1].shape_len++;
    } else {
        mapping->shape_len++;
    }
}

/* The snapshot copies all of it. */
static struct sg_snapshot *join_mappings(uint64_t epoch, struct sg_catalog *catalog, const PGresult *rows,
                                         struct sg_error *reterr) {
    size_t rows_len = (size_t)PQntuples(rows);
    struct mapping_rows read = {.columns = calloc(rows_len + 1, sizeof(*read.columns)),
                                .members = calloc(rows_len + 1, sizeof(*read.members)),
                                .mappings = calloc(rows_len + 1, sizeof(*read.mappings))};
    if (!read.columns || !read.members || !read.mappings) {
        abort();
    }
    for (int i = 0; i < (int)rows_len; i++) {
        read.columns[i] = column_of(rows, i, COLUMN);
        add_row(&read, rows, i);
    }
    struct sg_snapshot *snapshot = sg_snapshot_new(epoch, catalog, read.mappings, read.mappings_len, reterr);
    free(read.mappings);
    free(read.members);
    free(read.columns);
    return snapshot;
}

static struct sg_snapshot *load_in_transaction(PGconn *conn, struct sg_catalog_state *next, struct sg_error *reterr) {
    if (!sg_catalog_row_epoch(conn, &next->row_epoch, reterr) || !sg_catalog_digest(conn, &next->digest, reterr)) {
        return NULL;
    }
    next->reloads++;
    PGresult *rows = sg_db_query(conn, mappings_sql, 0, NULL, reterr);
    if (!rows) {
        return NULL;
    }
    struct sg_characters *characters = sg_characters_new();
    sg_characters_add(characters, rows);
    struct sg_catalog *catalog = load_relations(conn, characters, reterr);
    struct sg_snapshot *snapshot = NULL;
    if (catalog && load_functions(conn, catalog, reterr) && sg_charset_load(conn, catalog, characters, reterr)) {
        snapshot = join_mappings((next->row_epoch << SG_EPOCH_SHIFT) + next->reloads, catalog, rows, reterr);
    } else if (catalog) {
        sg_catalog_free(catalog);
    }
    sg_characters_free(characters);
    PQclear(rows);
    return snapshot;
}

struct sg_snapshot *sg_catalog_load(PGconn *conn, struct sg_catalog_state *state, struct sg_error *reterr) {
    struct sg_catalog_state next = *state;
    if (!sg_db_exec(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", reterr)) {
        return NULL;
    }
    struct sg_snapshot *snapshot = load_in_transaction(conn, &next, reterr);
    sg_db_rollback(conn);
    if (snapshot) {
        *state = next;
    }
    return snapshot;
}

bool sg_catalog_row_epoch(PGconn *conn, uint64_t *ret_epoch, struct sg_error *reterr) {
    int64_t value;
    if (!sg_db_int(conn, "SELECT value FROM segue.epoch", 0, NULL, &value, reterr)) {
        return false;
    }
    *ret_epoch = (uint64_t)value;
    return true;
}

bool sg_catalog_digest(PGconn *conn, struct sg_catalog_digest *ret_digest, struct sg_error *reterr) {
    PGresult *row = sg_db_query(conn, digest_sql, 0, NULL, reterr);
    if (!row) {
        return false;
    }
    /* A count and sums of 64-bit hashes, in decimal; a time. */
    strncpy(ret_digest->text, PQgetvalue(row, 0, 0), sizeof(ret_digest->text) - 1);
    ret_digest->text[sizeof(ret_digest->text) - 1] = '\0';
    PQclear(row);
    return true;
}
