#include "proxy/migration/catalog.h"
#include "proxy/migration/commands.h"
#include "proxy/migration/db.h"
#include "proxy/migration/preflight.h"
#include "segue/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 40 /* leaves room in the names of what segue makes */

struct options {
    bool guard;
    const char *batch_rows, *max_p99_ratio; /* NULL: the configuration's */
};

static const char insert_sql[] =
    "WITH grown AS (UPDATE segue.epoch SET value = value + 1 RETURNING value)"
    " INSERT INTO segue.migration (name, kind, strategy, relid, schema_name, table_name, old_name, new_name, "
    "phase_epoch,"
    "   guard, batch_rows, max_p99_ratio, changed_by, shape)"
    " SELECT $1, 'rename', 'dual_write', c.oid, n.nspname, c.relname, $3, $4, grown.value, $5::boolean, $6::int,"
    "   $7::float8, $8, (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL),"
    "     'default_sql', pg_get_expr(d.adbin, d.adrelid), 'is_generated', a.attgenerated <> '', 'is_identity',"
    "     a.attidentity <> '') ORDER BY a.attnum) FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid"
    "     AND d.adnum = a.attnum WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)"
    " FROM grown, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2::oid";

/* Without a schema the role's own search_path decides, whatever this connection has been set to. */
static const char find_in_path_sql[] =
    "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " AND pg_catalog.pg_table_is_visible(c.oid)";
static const char find_in_schema_sql[] =
    "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relname = $1 AND n.nspname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";

static bool invalid(struct sg_error *reterr, const char *what, const char *name, const char *hint) {
    sg_error_set(reterr, SG_SQLSTATE_INVALID_PARAMETER_VALUE, "%s \"%s\"", what, name);
    sg_error_hint(reterr, "%s", hint);
    return false;
}

static bool is_on(const char *value) {
    return strcasecmp(value, "on") == 0 || strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0;
}

static bool is_off(const char *value) {
    return strcasecmp(value, "off") == 0 || strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

static bool read_option(const struct sg_migration_option *option, struct options *options, struct sg_error *reterr) {
    if (strcmp(option->name, "strategy") == 0) {
        if (strcmp(option->value, "dual_write") == 0) {
            return true;
        }
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "strategy \"%s\" is not supported", option->value);
        sg_error_hint(reterr, "The strategy is dual_write.");
        return false;
    }
    if (strcmp(option->name, "guard") == 0) {
        if (!is_on(option->value) && !is_off(option->value)) {
            return invalid(reterr, "guard cannot be", option->value, "It is on or off.");
        }
        options->guard = is_on(option->value);
        return true;
    }
    return sg_backfill_option(option, &options->batch_rows, &options->max_p99_ratio, reterr);
}

bool sg_backfill_option(const struct sg_migration_option *option, const char **ret_batch_rows,
                        const char **ret_max_p99_ratio, struct sg_error *reterr) {
    char *end;
    if (strcmp(option->name, "batch_rows") == 0) {
        long rows = strtol(option->value, &end, 10);
        if (*end != '\0' || end == option->value || rows < 1 || rows > 1000000) {
            return invalid(reterr, "batch_rows cannot be", option->value, "It is a number from 1 to 1000000.");
        }
        *ret_batch_rows = option->value;
        return true;
    }
    if (strcmp(option->name, "max_p99_ratio") == 0) {
        double ratio = strtod(option->value, &end);
        if (*end != '\0' || end == option->value || !(ratio >= 1 && ratio <= 1000)) {
            return invalid(reterr, "max_p99_ratio cannot be", option->value, "It is a number from 1 to 1000.");
        }
        *ret_max_p99_ratio = option->value;
        return true;
    }
    return invalid(reterr, "unknown option", option->name,
                   "Known are strategy, guard, batch_rows, max_p99_ratio (the last two also for SET BACKFILL).");
}

static bool check_spec(PGconn *conn, const struct sg_migration_spec *spec, struct options *options,
                       struct sg_error *reterr) {
    if (spec->name[0] == '\0' || strlen(spec->name) > NAME_MAX_BYTES) {
        return invalid(reterr, "a migration's name has 1 to 40 bytes, unlike", spec->name, "Choose another name.");
    }
    if (spec->database && strcmp(spec->database, PQdb(conn)) != 0) {
        sg_error_set(reterr, SG_SQLSTATE_FEATURE_NOT_SUPPORTED,
                     "the control connection leads to database \"%s\", not to \"%s\"", PQdb(conn), spec->database);
        sg_error_hint(reterr, "Leave IN out, or run a proxy with a control connection to that database.");
        return false;
    }
    if (strlen(spec->old_name) >= SG_NAME_BYTES || strlen(spec->new_name) >= SG_NAME_BYTES) {
        return invalid(reterr, "longer than PostgreSQL's 63 bytes is",
                       strlen(spec->new_name) >= SG_NAME_BYTES ? spec->new_name : spec->old_name,
                       "Choose another name.");
    }
    if (spec->new_name[0] == '\0') {
        return invalid(reterr, "a column cannot be called", "", "Choose another name.");
    }
    for (size_t i = 0; i < spec->options_len; i++) {
        if (!read_option(&spec->options[i], options, reterr)) {
            return false;
        }
    }
    return true;
}

/* *ret_relid is big enough for an oid. */
static bool find_table(PGconn *conn, const struct sg_migration_spec *spec, char ret_relid[16],
                       struct sg_error *reterr) {
    PGresult *row = NULL;
    if (!spec->schema) {
        if (sg_db_exec(conn,
                       "SELECT pg_catalog.set_config('search_path', reset_val, true) FROM pg_catalog.pg_settings"
                       " WHERE name = 'search_path'",
                       reterr)) {
            row = sg_db_query(conn, find_in_path_sql, SG_ARGS(spec->table), reterr);
        }
    } else {
        row = sg_db_query(conn, find_in_schema_sql, SG_ARGS(spec->table, spec->schema), reterr);
    }
    if (!row) {
        return false;
    }
    bool found = PQntuples(row) == 1;
    if (found) {
        snprintf(ret_relid, 16, "%s", PQgetvalue(row, 0, 0));
    } else {
        sg_error_set(reterr, SG_SQLSTATE_UNDEFINED_TABLE, "table \"%s%s%s\" does not exist in database \"%s\"",
                     spec->schema ? spec->schema : "", spec->schema ? "." : "", spec->table, PQdb(conn));
        sg_error_hint(reterr, "%s",
                      spec->schema ? "Unquoted names are folded to lower case."
                                   : "Name the schema, or put it into the control role's search_path.");
    }
    PQclear(row);
    return found;
}

static bool name_is_free(PGconn *conn, const char *name, struct sg_error *reterr) {
    int64_t taken;
    if (!sg_db_int(conn, "SELECT count(*) FROM segue.migration WHERE name = $1", SG_ARGS(name), &taken, reterr)) {
        return false;
    }
    if (taken) {
        sg_error_set(reterr, SG_SQLSTATE_DUPLICATE_OBJECT, "migration \"%s\" exists already", name);
        sg_error_hint(reterr, "Choose another name, or DROP MIGRATION that one.");
    }
    return !taken;
}

static bool create_in_transaction(PGconn *conn, const struct sg_migration_spec *spec, const struct options *options,
                                  struct sg_error *reterr) {
    char relid[16];
    /* The epoch's row orders all changes of mappings, so two CREATEs cannot both find the name free. */
    if (!find_table(conn, spec, relid, reterr) ||
        !sg_db_exec(conn, "SET LOCAL search_path = pg_catalog, pg_temp", reterr) ||
        !sg_db_exec(conn, "SELECT value FROM segue.epoch FOR UPDATE", reterr) ||
        !name_is_free(conn, spec->name, reterr)) {
        return false;
    }
    struct sg_preflight_subject subject = {
        .relid = relid, .old_name = spec->old_name, .new_name = spec->new_name, .guard = options->guard};
    return sg_preflight_passes(conn, &subject, reterr) &&
           sg_db_run(conn, insert_sql,
                     SG_ARGS(spec->name, relid, spec->old_name, spec->new_name, options->guard ? "t" : "f",
                             options->batch_rows, options->max_p99_ratio, spec->by ? spec->by : ""),
                     reterr) &&
           sg_db_exec(conn, sg_sql_note_members, reterr);
}

bool sg_migration_create(PGconn *conn, const struct sg_migration_spec *spec, struct sg_error *reterr) {
    struct options options = {.guard = true};
    if (!check_spec(conn, spec, &options, reterr)) {
        return false;
    }
    bool ok = sg_db_exec(conn, "BEGIN", reterr) && create_in_transaction(conn, spec, &options, reterr) &&
              sg_db_exec(conn, "COMMIT", reterr);
    if (!ok) {
        sg_db_rollback(conn);
    }
    return ok;
}
