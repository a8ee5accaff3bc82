/*
 * relation — which table a name means.
 *
 * From the catalog, where only one can be meant. Where it depends on the session (search_path, temporary tables, tables
 * made a moment ago), from the facts of the request; and where those do not say, it becomes a question. A question is
 * asked only if somebody wants its answer: most statements mean the same whatever the other tables' columns are.
 */
#ifndef SEGUE_REWRITE_RELATION_H
#define SEGUE_REWRITE_RELATION_H

#include "context.h"

struct sg_question {
    struct sg_question *next;
    const char *name;             /* as to_regclass takes it */
    const struct sg_table *table; /* a mapped table that may be meant; NULL: none */
    int at;
    bool is_wanted;
    bool is_late; /* a statement before it in the text may change the answer: it cannot be asked in time */
};

/* The relation that a table name in FROM or INTO means. NULL: none known, or refused as ambiguous. *ret_question: its
 * columns are known when this is answered. */
const struct sg_relation *sg_lookup_relation(struct sg_context *cx, const struct sg_from *from,
                                             struct sg_question **ret_question);

/* NULL: nobody can answer. */
static inline void sg_question_want(struct sg_question *question) {
    if (question)
        question->is_wanted = true;
}

/* The answers that are wanted, for plan->asks. */
size_t sg_questions_wanted(const struct sg_context *cx, struct sg_span **ret_asks);
/* Refuses the text if a late answer is wanted. True: it did. */
bool sg_questions_refuse_late(struct sg_context *cx);

#endif
