#include "bench/load/statements.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *sql, *params;
} statements[] = {
#define X(name, sql, params) {#name, sql, params},
    SG_STATEMENTS(X)
#undef X
};

const char *sg_statement_name(enum sg_statement statement) {
    return statements[statement].name;
}

const char *sg_statement_params(enum sg_statement statement) {
    return statements[statement].params;
}

/* An identifier, quoted only where it has to be. */
static void put_ident(FILE *out, const char *name) {
    bool plain = name[0] && !isdigit((unsigned char)name[0]);
    for (const char *c = name; *c; c++)
        plain = plain && (islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '_');
    /* The one keyword among the worked examples. */
    if (plain && strcmp(name, "user") != 0) {
        fputs(name, out);
        return;
    }
    fputc('"', out);
    for (const char *c = name; *c; c++) {
        if (*c == '"')
            fputc('"', out);
        fputc(*c, out);
    }
    fputc('"', out);
}

static void put_relation(FILE *out, const struct sg_names *names, const char *suffix) {
    char relation[160];
    if (strcmp(names->schema, "public") != 0) {
        put_ident(out, names->schema);
        fputc('.', out);
    }
    snprintf(relation, sizeof(relation), "%s%s", names->table, suffix);
    put_ident(out, relation);
}

char *sg_statement_render(const char *text, const struct sg_names *names, const char *name) {
    char *sql = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&sql, &len);
    if (!out)
        abort();
    for (const char *c = text; *c; c++) {
        if (c[0] != '{' || !c[1] || c[2] != '}') {
            fputc(*c, out);
            continue;
        }
        if (c[1] == 't')
            put_relation(out, names, "");
        else if (c[1] == 'c')
            put_relation(out, names, "_cities");
        else
            put_ident(out, c[1] == 'o' ? names->old_name : name);
        c += 2;
    }
    fclose(out);
    return sql;
}

void sg_dialect_init(struct sg_dialect *dialect, const struct sg_names *names, enum sg_app app) {
    dialect->name = app == SG_APP_OLD ? names->old_name : names->new_name;
    for (int i = 0; i < SG_STMTS; i++)
        dialect->sql[i] = sg_statement_render(statements[i].sql, names, dialect->name);
}

void sg_dialect_free(struct sg_dialect *dialect) {
    for (int i = 0; i < SG_STMTS; i++)
        free(dialect->sql[i]);
}
