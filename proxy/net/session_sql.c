#include "session_sql.h"

#include "session_facts.h"
#include "session_renew.h"
#include "session_rewrite.h"

#include <stdlib.h>

/* EXECUTE of a statement whose text is EXECUTE ..., sent through Parse: deeper than anybody would go. */
#define NESTING_MAX 4

struct sg_outcome {
    struct sg_outcome *next;
    enum sg_prepared_kind kind;
    struct sg_version *version; /* pending; NULL: of a name that is not remembered */
};

static void read_ops(struct sg_session *s, struct sg_span sql, struct sg_prepared_ops *ret_ops) {
    sg_prepared_read(&s->worker->desk.scratch, sql, s->encoding, s->is_backslash_quotes, ret_ops);
}

/* A Parse has made it, perhaps of SQL that makes, runs or ends others. */
static bool may_run(const struct sg_version *v) {
    return v && !v->is_gone && v->text && v->text->may_prepare && !v->is_sql;
}

static void set_unseen(struct sg_error *err, const struct sg_prepared_op *op) {
    sg_error_set(err, SG_SQLSTATE_FEATURE_NOT_SUPPORTED, "segue does not know what prepared statement \"%s\" is",
                 op->name ? op->name : "U&...");
    sg_error_detail(
        err, "A migration is under way in this database, and a prepared statement must be rewritten for it. This "
             "session prepared statements by a text too long to be read, or under a name spelt with escapes.");
    sg_error_hint(err, "DEALLOCATE it and PREPARE it again, under a plain name and in a message of its own.");
}

/* It may have been made by a text that was not read. */
static bool is_unseen(struct sg_session *s, const struct sg_prepared_op *op) {
    return s->has_unseen && s->pin->mappings > 0 &&
           (!op->name || !sg_statements_find(&s->statements, sg_span_of(op->name)));
}

/* ---- Query: before ---- */

/* The same text has made or ended the statement before it comes to op, or has run it: then it was looked at. */
static bool is_settled_here(const struct sg_prepared_ops *ops, const struct sg_prepared_op *op) {
    for (const struct sg_prepared_op *before = ops->v; before < op; before++) {
        bool is_same = before->name && op->name && strcmp(before->name, op->name) == 0;
        if (before->kind == SG_PREPARED_END_ALL || is_same) {
            return true;
        }
    }
    return false;
}

static bool is_remembered(const struct sg_session *s, struct sg_span sql) {
    return s->statements.text_bytes + sql.len <= s->worker->config->session_statement_bytes;
}

/* The worse of two. */
static enum sg_renewal both(enum sg_renewal a, enum sg_renewal b) {
    return a > b ? a : b;
}

static enum sg_renewal before_run(struct sg_session *s, const struct sg_prepared_op *op, bool is_alone, bool is_settled,
                                  unsigned depth, struct sg_error *reterr) {
    struct sg_prepared_ops nested = {0};
    if (is_unseen(s, op)) {
        set_unseen(reterr, op);
        return SG_RENEWAL_REFUSED;
    }
    if (!op->name) {
        return SG_RENEWAL_NONE;
    }
    enum sg_renewal result = sg_renew_before_query(s, sg_span_of(op->name), is_alone, is_settled, reterr);
    const struct sg_statement *statement = sg_statements_find(&s->statements, sg_span_of(op->name));
    if (statement && may_run(statement->newest) && depth < NESTING_MAX) {
        read_ops(s, sg_text_sql(statement->newest->text), &nested);
    }
    for (size_t i = 0; i < nested.n && nested.v[i].kind == SG_PREPARED_RUN && result < SG_RENEWAL_WAIT; i++) {
        result = both(result, before_run(s, &nested.v[i], is_alone, is_settled, depth + 1, reterr));
    }
    if (statement && !statement->newest->is_gone) {
        sg_rewrite_note_use(s, statement->newest);
    }
    return result;
}

static enum sg_renewal before_op(struct sg_session *s, const struct sg_prepared_ops *ops,
                                 const struct sg_prepared_op *op, bool is_settled, struct sg_error *reterr) {
    if (op->kind == SG_PREPARED_MAKE && s->pin->mappings > 0 && !is_remembered(s, op->sql)) {
        sg_rewrite_set_not_remembered(reterr);
        return SG_RENEWAL_REFUSED;
    }
    bool is_run = op->kind == SG_PREPARED_RUN && !is_settled_here(ops, op);
    return is_run ? before_run(s, op, ops->statements == 1, is_settled, 0, reterr) : SG_RENEWAL_NONE;
}

enum sg_renewal sg_sql_before_query(struct sg_session *s, struct sg_span sql, struct sg_prepared_ops *ret_ops,
                                    struct sg_error *reterr) {
    enum sg_renewal result = SG_RENEWAL_NONE;
    *ret_ops = (struct sg_prepared_ops){0};
    if (!sg_prepared_may_match(sql)) {
        return result;
    }
    read_ops(s, sql, ret_ops);
    bool is_settled = s->expect.len == 0; /* before anything of ours is sent */
    for (size_t i = 0; i < ret_ops->n && result < SG_RENEWAL_WAIT; i++) {
        result = both(result, before_op(s, ret_ops, &ret_ops->v[i], is_settled, reterr));
    }
    return result;
}

/* ---- What a statement does ---- */

static struct sg_version *add_made(struct sg_session *s, const char *name, struct sg_text *text,
                                   const struct sg_plan *plan, enum sg_star star) {
    struct sg_version *made = sg_statements_add(&s->statements, sg_span_of(name), text, plan, s->pin->epoch);
    made->batch = s->batch;
    made->star = star;
    made->reading = sg_facts_reading(s);
    made->is_sql = true;
    sg_facts_note_unsure(s, made);
    return made;
}

/* plan: of the whole text, which may be more than this statement. */
static struct sg_version *make(struct sg_session *s, const struct sg_prepared_op *op, bool is_alone,
                               const struct sg_plan *plan) {
    /* Before the first mapping `*` can only mean the table as it is then: that shape stays the statement's. */
    enum sg_star star = s->pin->mappings == 0 ? SG_STAR_OLD : s->star;
    struct sg_text *text = is_remembered(s, op->sql) ? sg_text_intern(&s->worker->texts, op->sql, 0, NULL) : NULL;
    plan = is_alone || !text ? plan : sg_facts_plan_again(s, op->sql, star);
    struct sg_version *made = add_made(s, op->name, text, text ? plan : NULL, star);
    sg_text_unref(text);
    return made;
}

static struct sg_version *end(struct sg_session *s, const char *name) {
    struct sg_span span = sg_span_of(name);
    return name && sg_statements_find(&s->statements, span) ? sg_statements_add_close(&s->statements, span) : NULL;
}

static struct sg_outcome *outcome_new(enum sg_prepared_kind kind, struct sg_version *version) {
    struct sg_outcome *outcome = malloc(sizeof(*outcome));
    if (!outcome) {
        abort();
    }
    *outcome = (struct sg_outcome){.kind = kind, .version = version};
    return outcome;
}

/* EXECUTE of what a Parse has made of such SQL: then that is what happens. NULL: op itself does. */
static const struct sg_version *what_it_runs(struct sg_session *s, struct sg_prepared_op *op) {
    const struct sg_version *source = NULL;
    for (unsigned depth = 0; op->kind == SG_PREPARED_RUN && op->name && depth < NESTING_MAX; depth++) {
        struct sg_prepared_ops ops;
        const struct sg_statement *statement = sg_statements_find(&s->statements, sg_span_of(op->name));
        const struct sg_version *v = statement ? statement->newest : NULL;
        if (!may_run(v)) {
            break;
        }
        read_ops(s, sg_text_sql(v->text), &ops);
        if (ops.n != 1) {
            break;
        }
        *op = ops.v[0];
        source = v;
    }
    return source;
}

void sg_sql_note_query(struct sg_session *s, const struct sg_prepared_ops *ops, const struct sg_plan *plan,
                       struct sg_side *side) {
    struct sg_outcome **last = &side->outcomes;
    for (size_t i = 0; i < ops->n; i++) {
        struct sg_prepared_op run = ops->v[i], *op = &run;
        const struct sg_version *source = what_it_runs(s, op);
        struct sg_version *version = NULL;
        switch (op->kind) {
        case SG_PREPARED_MAKE:
            s->has_unseen = s->has_unseen || !op->name;
            if (op->name && source) {
                version = add_made(s, op->name, source->text, source->plan, source->star);
            } else if (op->name) {
                version = make(s, op, ops->statements == 1, plan);
            }
            break;
        case SG_PREPARED_END:
            version = end(s, op->name);
            break;
        case SG_PREPARED_END_ALL:
            s->is_clearing = true;
            continue;
        case SG_PREPARED_RUN:
            continue;
        }
        *last = outcome_new(op->kind, version);
        last = &(*last)->next;
    }
}

static struct sg_version *take_outcome(struct sg_side *side) {
    struct sg_outcome *outcome = side->outcomes;
    struct sg_version *version = outcome->version;
    side->outcomes = outcome->next;
    free(outcome);
    return version;
}

void sg_sql_completed(struct sg_session *s, struct sg_side *side, struct sg_span tag) {
    if (!side->outcomes || !sg_span_eq_cstr(tag, sg_prepared_tag(side->outcomes->kind))) {
        return;
    }
    struct sg_version *version = take_outcome(side);
    if (version) {
        sg_statements_confirm(&s->statements, version);
    }
}

void sg_sql_undo(struct sg_session *s, struct sg_side *side) {
    while (side->outcomes) {
        struct sg_version *version = take_outcome(side);
        if (version) {
            sg_statements_undo(&s->statements, version);
        }
    }
}

/* ---- Through the extended protocol ---- */

static enum sg_verdict use_nested(struct sg_session *s, const struct sg_text *text, unsigned depth) {
    struct sg_prepared_ops ops;
    read_ops(s, sg_text_sql(text), &ops);
    for (size_t i = 0; i < ops.n && ops.v[i].kind == SG_PREPARED_RUN; i++) {
        if (is_unseen(s, &ops.v[i])) {
            struct sg_error err = {0};
            set_unseen(&err, &ops.v[i]);
            sg_rewrite_fail(s, sg_text_sql(text), NULL, &err);
            continue;
        }
        struct sg_span name = sg_span_of(ops.v[i].name);
        struct sg_statement *statement = name.ptr ? sg_statements_find(&s->statements, name) : NULL;
        struct sg_version *v = statement ? statement->newest : NULL;
        if (!v || v->is_gone) {
            continue;
        }
        enum sg_verdict verdict = depth < NESTING_MAX && may_run(v) ? use_nested(s, v->text, depth + 1) : SG_FORWARD;
        verdict = verdict == SG_FORWARD ? sg_renew_before_use(s, name, v) : verdict;
        if (verdict != SG_FORWARD) {
            return verdict;
        }
        sg_rewrite_note_use(s, statement->newest);
    }
    return SG_FORWARD;
}

enum sg_verdict sg_sql_use(struct sg_session *s, const struct sg_text *text) {
    return use_nested(s, text, 0);
}

struct sg_side *sg_sql_execute(struct sg_session *s, const struct sg_portal *portal) {
    struct sg_prepared_ops ops;
    struct sg_version *version = NULL;
    read_ops(s, sg_text_sql(portal->text), &ops);
    if (ops.n != 1) {
        return NULL;
    }
    struct sg_prepared_op *op = &ops.v[0];
    const struct sg_version *source = what_it_runs(s, op);
    switch (op->kind) {
    case SG_PREPARED_MAKE:
        s->has_unseen = s->has_unseen || !op->name;
        if (op->name) {
            version = source ? add_made(s, op->name, source->text, source->plan, source->star)
                             : add_made(s, op->name, portal->text, portal->plan, portal->star);
        }
        break;
    case SG_PREPARED_END:
        version = end(s, op->name);
        break;
    case SG_PREPARED_END_ALL:
        s->is_clearing = true;
        break;
    case SG_PREPARED_RUN:
        break;
    }
    if (!version) {
        return NULL;
    }
    struct sg_side *side = sg_worker_side(s->worker);
    side->version = version;
    return side;
}
