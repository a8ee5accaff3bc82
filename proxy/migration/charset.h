/*
 * charset — what PostgreSQL's own conversions make of the characters in the catalog's names, in every encoding a client
 * of this database may use.
 */
#ifndef SEGUE_MIGRATION_CHARSET_H
#define SEGUE_MIGRATION_CHARSET_H

#include "segue/catalog.h"

#include <libpq-fe.h>

/* The characters beyond ASCII of names and defaults, as they are read. */
struct sg_characters;

struct sg_characters *sg_characters_new(void);
void sg_characters_free(struct sg_characters *characters);
/* Every text field of the rows. */
void sg_characters_add(struct sg_characters *characters, const PGresult *rows);

/* Asks the server about them, and tells the catalog. Inside a transaction, which may be read-only. */
bool sg_charset_load(PGconn *conn, struct sg_catalog *catalog, const struct sg_characters *characters,
                     struct sg_error *reterr);

#endif
