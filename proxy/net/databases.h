/*
 * databases — where each name that a client may give leads to: the entries of [databases] as the network side uses
 * them.
 *
 * A list is made by the main thread, never changes, and is counted: a session keeps a reference from its start-up
 * packet to its end, so that a reload concerns those who come later.
 */
#ifndef SEGUE_NET_DATABASES_H
#define SEGUE_NET_DATABASES_H

#include "proxy/tls.h"
#include "segue/span.h"
#include "upstream.h"

#include <stdbool.h>
#include <stddef.h>

/* Text is NULL where the client's own counts. */
struct sg_database {
    const char *name; /* as clients call it; "*": any other */
    const char *dbname, *user, *password;
    const char *options, *client_encoding, *datestyle, *timezone;
    int64_t max_connections; /* sessions at a time; 0: no limit, -1: as for all databases */
    bool rewrite;            /* false: of the control database it has the name only */
    struct sg_upstream upstream;
    struct sg_tls_context *tls; /* NULL: the way to its servers is in the clear */
};

/* What an entry is made of; strings are copied, a reference to tls is taken. "" and NULL are the same. */
struct sg_database_spec {
    const char *name, *host, *hostaddr, *port;
    const char *dbname, *user, *password, *options, *client_encoding, *datestyle, *timezone;
    enum sg_wanted target;
    enum sg_balance balance;
    unsigned connect_timeout_ms;
    int64_t max_connections;
    bool rewrite;
    struct sg_tls_context *tls;
};

struct sg_databases;

/* known: what its hosts have shown of themselves is taken over; NULL: none. */
struct sg_databases *sg_databases_new(const struct sg_database_spec *specs, size_t len,
                                      const struct sg_databases *known);
/* Any thread. */
struct sg_databases *sg_databases_ref(struct sg_databases *databases);
void sg_databases_unref(struct sg_databases *databases);

/* The entry for a name, or that of "*"; NULL: there is neither. */
const struct sg_database *sg_databases_find(const struct sg_databases *databases, struct sg_span name);
/* The entry by which the control database is reached, for those who log in to the console; NULL: there is none. */
const struct sg_database *sg_databases_find_control(const struct sg_databases *databases, const char *control);
size_t sg_databases_len(const struct sg_databases *databases);
const struct sg_database *sg_databases_at(const struct sg_databases *databases, size_t i);

/* What a client that gives this name is connected to. */
struct sg_span sg_database_target(const struct sg_database *database, struct sg_span name);

#endif
