/* side — what a few expectations carry besides their kind: kept from the message until its reply is complete. */
#ifndef SEGUE_NET_SIDE_H
#define SEGUE_NET_SIDE_H

#include "segue/error.h"
#include "segue/rewrite.h"

#include <stdint.h>

struct sg_outcome;
struct sg_text;
struct sg_version;

/* Owns a reference to each of plan and text, the outcomes and the error. */
struct sg_side {
    struct sg_side *next;        /* in the queue, or in the worker's free list */
    const struct sg_plan *plan;  /* how the statement was rewritten: maps error positions back */
    struct sg_text *text;        /* the client's text, which positions point into */
    struct sg_version *version;  /* Parse, Close: what becomes of the name once the server has agreed */
    struct sg_version *renewal;  /* Close: of what takes the closed version's place; not owned, its entry comes later */
    struct sg_outcome *outcomes; /* Query: what its PREPAREs and DEALLOCATEs do once each has completed */
    struct sg_error *error;      /* REPLACE_ERROR: what the client is told */
    bool is_renewed;             /* Query: a statement that it executes was renewed right before it */
    bool is_probe;               /* session_facts.h: the message was our question, not the client's */
    bool is_probe_end;           /* and the last of it */
    uint32_t copies_begun;       /* Query, Execute: so many times the server has asked for data */
    bool is_copy;                /* and it has yet to ask for some that plan->copy changes */
};

#endif
