#include "journal.h"

#include <stdlib.h>
#include <string.h>

#define ADMIT_EVERY 16u

static const struct {
    size_t max;
    const char *fields[SG_NOTE_FIELDS_MAX + 1]; /* ends with NULL */
} kinds[] = {
#define X(kind, max, ...) {max, {__VA_ARGS__}},
    SG_JOURNAL_KINDS(X)
#undef X
};

const char *const *sg_journal_fields(enum sg_journal_kind kind, size_t *ret_len) {
    size_t len = 0;
    while (kinds[kind].fields[len]) {
        len++;
    }
    *ret_len = len;
    return kinds[kind].fields;
}

static void *must_alloc(void *ptr, size_t bytes) {
    void *more = realloc(ptr, bytes);
    if (!more) {
        abort();
    }
    return more;
}

static char *copy(const char *text) {
    char *copied = text ? strdup(text) : NULL;
    if (text && !copied) {
        abort();
    }
    return copied;
}

/* ---- One worker's ---- */

bool sg_journal_hit(struct sg_journal *journal, enum sg_journal_kind kind, uint64_t key, uint64_t now_ms) {
    struct sg_note *note = NULL;
    HASH_FIND(hh, journal->books[kind].by_key, &key, sizeof(key), note);
    if (note) {
        note->count++;
        note->last_ms = now_ms;
    }
    return note != NULL;
}

bool sg_journal_admits(struct sg_journal *journal, enum sg_journal_kind kind) {
    struct sg_notebook *book = &journal->books[kind];
    return book->len < kinds[kind].max || ++book->turned_away % ADMIT_EVERY == 0;
}

static void drop(struct sg_notebook *book, struct sg_note *note) {
    HASH_DEL(book->by_key, note);
    book->len--;
    for (size_t i = 0; i < note->fields_len; i++) {
        free(note->fields[i]);
    }
    free(note);
}

static void drop_oldest(struct sg_notebook *book) {
    struct sg_note *oldest = book->by_key;
    for (struct sg_note *note = book->by_key; note; note = note->hh.next) {
        oldest = note->last_ms < oldest->last_ms ? note : oldest;
    }
    drop(book, oldest);
}

void sg_journal_add(struct sg_journal *journal, enum sg_journal_kind kind, uint64_t key, uint64_t now_ms,
                    const char *const *fields) {
    struct sg_notebook *book = &journal->books[kind];
    if (book->len >= kinds[kind].max) {
        drop_oldest(book);
    }
    struct sg_note *note = must_alloc(NULL, sizeof(*note));
    *note = (struct sg_note){.key = key, .count = 1, .last_ms = now_ms};
    sg_journal_fields(kind, &note->fields_len);
    for (size_t i = 0; i < note->fields_len; i++) {
        note->fields[i] = copy(fields[i]);
    }
    HASH_ADD(hh, book->by_key, key, sizeof(note->key), note);
    book->len++;
}

void sg_journal_free(struct sg_journal *journal) {
    for (size_t kind = 0; kind < SG_JOURNAL_KINDS_LEN; kind++) {
        while (journal->books[kind].by_key) {
            drop(&journal->books[kind], journal->books[kind].by_key);
        }
    }
}

/* ---- Copies ---- */

void sg_notes_take(struct sg_notes *notes, const struct sg_journal *journal, enum sg_journal_kind kind,
                   uint64_t now_ms) {
    const struct sg_notebook *book = &journal->books[kind];
    if (book->len == 0) {
        return;
    }
    if (notes->n + book->len > notes->cap) {
        notes->cap = notes->n + book->len;
        notes->v = must_alloc(notes->v, notes->cap * sizeof(*notes->v));
    }
    for (const struct sg_note *note = book->by_key; note; note = note->hh.next) {
        struct sg_note_copy *copied = &notes->v[notes->n++];
        *copied = (struct sg_note_copy){
            .count = note->count, .age_ms = now_ms - note->last_ms, .fields_len = note->fields_len};
        for (size_t i = 0; i < note->fields_len; i++) {
            copied->fields[i] = copy(note->fields[i]);
        }
    }
}

static int compare_fields(const struct sg_note_copy *a, const struct sg_note_copy *b) {
    int order = 0;
    for (size_t i = 0; order == 0 && i < a->fields_len; i++) {
        order = strcmp(a->fields[i] ? a->fields[i] : "", b->fields[i] ? b->fields[i] : "");
    }
    return order;
}

static int by_fields(const void *a, const void *b) {
    return compare_fields(a, b);
}

static int by_age(const void *a, const void *b) {
    const struct sg_note_copy *left = a, *right = b;
    if (left->age_ms != right->age_ms) {
        return left->age_ms < right->age_ms ? -1 : 1;
    }
    return compare_fields(left, right);
}

static void free_fields(struct sg_note_copy *note) {
    for (size_t i = 0; i < note->fields_len; i++) {
        free(note->fields[i]);
    }
}

void sg_notes_settle(struct sg_notes *notes) {
    size_t kept = 0;
    if (notes->n == 0) {
        return;
    }
    qsort(notes->v, notes->n, sizeof(*notes->v), by_fields);
    for (size_t i = 1; i < notes->n; i++) {
        struct sg_note_copy *last = &notes->v[kept], *next = &notes->v[i];
        if (compare_fields(last, next) != 0) {
            notes->v[++kept] = *next;
            continue;
        }
        last->count += next->count;
        last->age_ms = next->age_ms < last->age_ms ? next->age_ms : last->age_ms;
        free_fields(next);
    }
    notes->n = kept + 1;
    qsort(notes->v, notes->n, sizeof(*notes->v), by_age);
}

void sg_notes_free(struct sg_notes *notes) {
    for (size_t i = 0; i < notes->n; i++) {
        free_fields(&notes->v[i]);
    }
    free(notes->v);
    *notes = (struct sg_notes){0};
}
