/*
 * facts — what a session's server has said about names of tables, and how long it is true.
 *
 * Invariants:
 *   1. What is kept was true at the place of the stream where it was asked, and nothing has been sent behind it since
 *      that could have changed it: every text sent is noted with its effect.
 *   2. A transaction that may have changed what names mean (tainted) gives it up at its end, in whatever way it ends.
 *      Facts of a tainted transaction are good in the batch they were asked in, and in later ones only once the server
 *      has said that the transaction goes on.
 *   3. Facts belong to one epoch: what others have changed comes with a new one.
 *   4. Whatever was made with facts of another generation must be looked at anew.
 */
#ifndef SEGUE_NET_FACTS_H
#define SEGUE_NET_FACTS_H

#include "segue/protocol.h"
#include "segue/rewrite.h"

struct sg_fact;

struct sg_facts {
    struct sg_fact *v;
    size_t n, cap, bytes;
    uint64_t epoch;
    uint64_t batch; /* inv. 2 */
    uint32_t generation;
    bool is_tainted;
    bool is_unsettled; /* a setting may have been changed by a message that is not answered yet */
    bool is_doubtful;  /* tables may be hidden whose names are unique in the snapshot */
    bool is_unlooked;  /* only because nobody has looked whether there are temporary tables */
    bool is_used;      /* some plan was made with facts */
};

void sg_facts_free(struct sg_facts *facts);
/* A text with this effect goes out, or what runs it. */
void sg_facts_note(struct sg_facts *facts, enum sg_effect effect);
/* Before use: forgets what is not true any more. batch: of the message in hand. */
void sg_facts_refresh(struct sg_facts *facts, uint64_t epoch, uint64_t batch);
/* Every message sent has been answered, and status is ReadyForQuery's. was_probe: the last one was our question. */
void sg_facts_rest(struct sg_facts *facts, char status, uint64_t batch, bool was_probe);
void sg_facts_doubt(struct sg_facts *facts);
/* There are no temporary tables. */
void sg_facts_no_temporary(struct sg_facts *facts);

/* batch: in which it was asked. */
void sg_facts_add(struct sg_facts *facts, struct sg_span ask, struct sg_span answer, uint64_t batch);
/* Appends what is known of asks as a request wants it. False: something is not known, and nothing is appended. */
bool sg_facts_compose(const struct sg_facts *facts, const struct sg_span *asks, size_t n, struct sg_buf *ret_text);

#endif
