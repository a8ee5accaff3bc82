/*
 * portals — the few portals of a session whose Execute does something here: a rewritten COPY FROM STDIN, or SQL that
 * makes or ends a prepared statement. Kept until the transaction has ended, as the server keeps them.
 */
#ifndef SEGUE_NET_PORTALS_H
#define SEGUE_NET_PORTALS_H

#include "statements.h"

struct sg_portal {
    struct sg_portal *next;
    const struct sg_plan *plan; /* NULL: the text went out as it is */
    struct sg_text *text;
    enum sg_star star;
    size_t name_len;
    char name[];
};

struct sg_portals {
    struct sg_portal *first;
};

/* A Bind went out for a statement of this version (NULL: of none we know of): what the portal was is over. */
void sg_portals_bind(struct sg_portals *portals, struct sg_span name, const struct sg_version *v);
/* NULL: none of those. */
const struct sg_portal *sg_portals_find(const struct sg_portals *portals, struct sg_span name);
void sg_portals_forget(struct sg_portals *portals);

#endif
