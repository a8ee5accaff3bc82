#include "statements.h"

#include "segue/prepared.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Every table of this file is hashed here and nowhere else. */
#undef HASH_FUNCTION
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits((key), (len))

#define KEY_KEPT_BYTES 65536u /* a longer text is rare: the memory for its key goes back */

static void *must_alloc(size_t bytes) {
    void *ptr = malloc(bytes);
    if (!ptr) {
        abort();
    }
    return ptr;
}

/* Of one writer: no locked instruction. */
static void gauge_add(_Atomic uint64_t *gauge, size_t n) {
    atomic_store_explicit(gauge, atomic_load_explicit(gauge, memory_order_relaxed) + n, memory_order_relaxed);
}

static void gauge_sub(_Atomic uint64_t *gauge, size_t n) {
    atomic_store_explicit(gauge, atomic_load_explicit(gauge, memory_order_relaxed) - n, memory_order_relaxed);
}

/* ---- Texts ---- */

/* In one piece, as the text keeps it: in the message it is not. */
static void make_key(struct sg_buf *key, struct sg_span sql, uint16_t nparams, const uint8_t *oids) {
    key->len = 0;
    sg_buf_put_span_cstr(key, sql);
    sg_buf_put(key, oids, (size_t)nparams * 4u);
}

static struct sg_text *text_new(struct sg_texts *texts, size_t sql_len, uint16_t nparams) {
    size_t key_len = texts->key.len;
    struct sg_text *text = must_alloc(sizeof(*text) + key_len);
    *text = (struct sg_text){.owner = texts, .refs = 1, .nparams = nparams, .sql_len = sql_len, .key_len = key_len};
    memcpy(text->bytes, texts->key.data, key_len);
    return text;
}

struct sg_text *sg_text_intern(struct sg_texts *texts, struct sg_span sql, uint16_t nparams,
                               const uint8_t *param_oids) {
    struct sg_text *text = NULL;
    unsigned hash;
    make_key(&texts->key, sql, nparams, param_oids);
    HASH_VALUE(texts->key.data, texts->key.len, hash);
    HASH_FIND_BYHASHVALUE(hh, texts->by_bytes, texts->key.data, texts->key.len, hash, text);
    if (text) {
        sg_text_ref(text);
    } else {
        text = text_new(texts, sql.len, nparams);
        HASH_ADD_BYHASHVALUE(hh, texts->by_bytes, bytes, text->key_len, hash, text);
        gauge_add(&texts->bytes, text->key_len);
    }
    if (texts->key.cap > KEY_KEPT_BYTES) {
        sg_buf_free(&texts->key);
    }
    return text;
}

void sg_text_judge(struct sg_text *text) {
    if (!text->is_judged) {
        text->is_judged = true;
        text->may_prepare = sg_prepared_may_match(sg_text_sql(text));
        text->effect = sg_text_effect(sg_text_sql(text));
    }
}

void sg_texts_free(struct sg_texts *texts) {
    sg_buf_free(&texts->key);
}

struct sg_text *sg_text_ref(struct sg_text *text) {
    text->refs++;
    return text;
}

void sg_text_unref(struct sg_text *text) {
    if (!text || --text->refs > 0) {
        return;
    }
    HASH_DEL(text->owner->by_bytes, text);
    gauge_sub(&text->owner->bytes, text->key_len);
    free(text);
}

/* ---- Versions ---- */

void sg_statements_init(struct sg_statements *st, struct sg_texts *texts) {
    *st = (struct sg_statements){.texts = texts};
}

static void note_epoch(struct sg_statements *st, uint64_t epoch) {
    if (st->versions == 1) {
        st->uniform_epoch = epoch;
    } else if (st->uniform_epoch != epoch) {
        st->uniform_epoch = 0;
    }
}

static void version_free(struct sg_statements *st, struct sg_version *version) {
    st->versions--;
    gauge_sub(&st->texts->versions, 1);
    if (version->plan) {
        st->rewritten--;
        sg_plan_unref(version->plan);
    }
    if (version->text) {
        st->text_bytes -= version->text->key_len;
        sg_text_unref(version->text);
    }
    free(version);
}

static void drop_if_empty(struct sg_statements *st, struct sg_statement *statement) {
    if (!statement->newest) {
        HASH_DEL(st->by_name, statement);
        free(statement);
    }
}

/* The server keeps 63 bytes of a name: longer ones that begin alike are the same to it. */
static struct sg_span clip(struct sg_span name) {
    return (struct sg_span){name.ptr, name.len < SG_NAME_BYTES ? name.len : SG_NAME_BYTES - 1u};
}

struct sg_statement *sg_statements_find(struct sg_statements *st, struct sg_span name) {
    struct sg_statement *found = NULL;
    name = clip(name);
    HASH_FIND(hh, st->by_name, name.ptr, name.len, found);
    return found;
}

static struct sg_statement *find_or_add(struct sg_statements *st, struct sg_span name) {
    struct sg_statement *statement = sg_statements_find(st, name);
    if (statement) {
        return statement;
    }
    name = clip(name);
    statement = must_alloc(sizeof(*statement) + name.len + 1);
    *statement = (struct sg_statement){.name_len = name.len};
    memcpy(statement->name, name.ptr, name.len);
    statement->name[name.len] = '\0';
    HASH_ADD(hh, st->by_name, name, name.len, statement);
    return statement;
}

static struct sg_version *push_version(struct sg_statements *st, struct sg_span name) {
    struct sg_statement *statement = find_or_add(st, name);
    struct sg_version *version = must_alloc(sizeof(*version));
    *version = (struct sg_version){.older = statement->newest, .of = statement, .is_pending = true};
    statement->newest = version;
    st->versions++;
    gauge_add(&st->texts->versions, 1);
    return version;
}

struct sg_version *sg_statements_add(struct sg_statements *st, struct sg_span name, struct sg_text *text,
                                     const struct sg_plan *plan, uint64_t epoch) {
    struct sg_version *version = push_version(st, name);
    version->epoch = epoch;
    if (text) {
        version->text = sg_text_ref(text);
        st->text_bytes += text->key_len;
    }
    if (plan) {
        version->plan = sg_plan_ref(plan);
        st->rewritten++;
    }
    note_epoch(st, epoch);
    return version;
}

struct sg_version *sg_statements_add_close(struct sg_statements *st, struct sg_span name) {
    struct sg_version *version = push_version(st, name);
    version->is_gone = true;
    version->epoch = st->uniform_epoch;
    return version;
}

static void free_chain(struct sg_statements *st, struct sg_version *version) {
    while (version) {
        struct sg_version *older = version->older;
        version_free(st, version);
        version = older;
    }
}

static void unlink_version(struct sg_version *version) {
    struct sg_version **link = &version->of->newest;
    while (*link != version) {
        link = &(*link)->older;
    }
    *link = version->older;
}

void sg_statements_confirm(struct sg_statements *st, struct sg_version *version) {
    struct sg_statement *statement = version->of;
    free_chain(st, version->older);
    version->older = NULL;
    version->is_pending = false;
    if (version->is_gone) {
        unlink_version(version);
        version_free(st, version);
        drop_if_empty(st, statement);
    } else if (st->versions == 1) {
        note_epoch(st, version->epoch);
    }
}

void sg_statements_undo(struct sg_statements *st, struct sg_version *version) {
    struct sg_statement *statement = version->of;
    unlink_version(version);
    version_free(st, version);
    drop_if_empty(st, statement);
}

static void forget_confirmed(struct sg_statements *st, struct sg_statement *statement) {
    struct sg_version *last = statement->newest;
    while (last && last->older) {
        last = last->older;
    }
    if (last && !last->is_pending) {
        sg_statements_undo(st, last);
    }
}

void sg_statements_lost(struct sg_statements *st, struct sg_version *version) {
    version->is_lost = true;
    st->uniform_epoch = 0; /* so that the next use looks at it */
}

void sg_statements_forget(struct sg_statements *st, struct sg_span name) {
    struct sg_statement *statement = sg_statements_find(st, name);
    if (statement) {
        forget_confirmed(st, statement);
    }
}

void sg_statements_forget_all(struct sg_statements *st) {
    struct sg_statement *statement, *next;
    HASH_ITER(hh, st->by_name, statement, next) {
        forget_confirmed(st, statement);
    }
}

void sg_version_carry_over(struct sg_statements *st, struct sg_version *version, const struct sg_plan *plan,
                           uint64_t epoch) {
    const struct sg_plan *before = version->plan;
    version->plan = plan ? sg_plan_ref(plan) : NULL;
    if (before) {
        sg_plan_unref(before);
    }
    st->rewritten += (size_t)(plan != NULL) - (size_t)(before != NULL);
    version->epoch = epoch;
    note_epoch(st, epoch);
}

void sg_statements_free(struct sg_statements *st) {
    struct sg_statement *statement, *next;
    HASH_ITER(hh, st->by_name, statement, next) {
        free_chain(st, statement->newest);
        HASH_DEL(st->by_name, statement);
        free(statement);
    }
}
