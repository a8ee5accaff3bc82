#include "facts.h"

#include <stdlib.h>

/* More than any statement asks for; beyond it all are forgotten and asked again. */
#define FACTS_MAX       256u
#define FACTS_MAX_BYTES (1u << 20)

struct sg_fact {
    size_t ask_len, len;
    char *text; /* ask=answer; */
};

static void forget(struct sg_facts *facts) {
    for (size_t i = 0; i < facts->n; i++) {
        free(facts->v[i].text);
    }
    facts->n = 0;
    facts->bytes = 0;
    facts->generation++;
}

void sg_facts_free(struct sg_facts *facts) {
    forget(facts);
    free(facts->v);
    facts->v = NULL;
    facts->cap = 0;
}

void sg_facts_note(struct sg_facts *facts, enum sg_effect effect) {
    if (effect == SG_EFFECT_NONE || (effect == SG_EFFECT_ENDS && !facts->is_tainted)) {
        return;
    }
    forget(facts);
    facts->is_tainted = true;
    facts->is_unsettled = true;
}

void sg_facts_refresh(struct sg_facts *facts, uint64_t epoch, uint64_t batch) {
    if (facts->n > 0 && (facts->epoch != epoch || (facts->is_tainted && facts->batch != batch))) {
        forget(facts);
    }
    facts->epoch = epoch;
}

void sg_facts_rest(struct sg_facts *facts, char status, uint64_t batch, bool was_probe) {
    facts->is_unsettled = false;
    if (!facts->is_tainted) {
        return;
    }
    if (status != 'I') {
        facts->batch = batch;
        return;
    }
    facts->is_tainted = false;
    if (!was_probe) { /* which was asked outside of any transaction, and is the last there was */
        forget(facts);
    }
}

void sg_facts_doubt(struct sg_facts *facts) {
    facts->is_doubtful = true;
    facts->is_unlooked = false;
}

void sg_facts_no_temporary(struct sg_facts *facts) {
    facts->is_doubtful = facts->is_doubtful && !facts->is_unlooked;
    facts->is_unlooked = false;
}

static const struct sg_fact *find(const struct sg_facts *facts, struct sg_span ask) {
    for (size_t i = 0; i < facts->n; i++) {
        if (sg_span_eq((struct sg_span){facts->v[i].text, facts->v[i].ask_len}, ask)) {
            return &facts->v[i];
        }
    }
    return NULL;
}

static void make_room(struct sg_facts *facts, size_t len) {
    if (facts->n == FACTS_MAX || facts->bytes + len > FACTS_MAX_BYTES) {
        forget(facts);
    }
    facts->bytes += len;
    if (facts->n < facts->cap) {
        return;
    }
    facts->cap = facts->cap > 0 ? facts->cap * 2 : 4;
    facts->v = realloc(facts->v, facts->cap * sizeof(*facts->v));
    if (!facts->v) {
        abort();
    }
}

void sg_facts_add(struct sg_facts *facts, struct sg_span ask, struct sg_span answer, uint64_t batch) {
    if (find(facts, ask)) {
        return;
    }
    size_t len = ask.len + answer.len + 2;
    make_room(facts, len);
    char *text = malloc(len);
    if (!text) {
        abort();
    }
    memcpy(text, ask.ptr, ask.len);
    text[ask.len] = '=';
    if (answer.len > 0) {
        memcpy(text + ask.len + 1, answer.ptr, answer.len);
    }
    text[len - 1] = ';';
    facts->v[facts->n++] = (struct sg_fact){.ask_len = ask.len, .len = len, .text = text};
    facts->batch = batch;
}

bool sg_facts_compose(const struct sg_facts *facts, const struct sg_span *asks, size_t n, struct sg_buf *ret_text) {
    size_t before = ret_text->len;
    for (size_t i = 0; i < n; i++) {
        const struct sg_fact *fact = find(facts, asks[i]);
        if (!fact) {
            ret_text->len = before;
            return false;
        }
        sg_buf_put(ret_text, fact->text, fact->len);
    }
    return true;
}
