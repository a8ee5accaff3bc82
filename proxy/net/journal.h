/*
 * journal — what a worker has met, for its operator: statements refused, statements rewritten, and who uses which name.
 *
 * One notebook a kind, each with so many notes at most. A note is found by its key, in the time of a hash look-up; when
 * the notebook is full, a sixteenth of what is new takes the place of what was met longest ago, so that a stream of
 * ever-new statements costs little. A journal belongs to one thread; others ask for a copy (survey.h).
 */
#ifndef SEGUE_NET_JOURNAL_H
#define SEGUE_NET_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

/* X(kind, notes at most, fields...): the fields are what the console shows, behind `count` and `last_seen`. */
#define SG_JOURNAL_KINDS(X)                                                                                         \
    X(REFUSED, 128, "user", "application_name", "database", "migration", "sqlstate", "reason", "hint", "statement") \
    X(REWRITES, 256, "database", "migration", "statement", "rewritten")                                             \
    X(REFERENCES, 512, "migration", "name", "user", "application_name", "database", "statement")

enum sg_journal_kind {
#define X(kind, max, ...) SG_JOURNAL_##kind,
    SG_JOURNAL_KINDS(X)
#undef X
        SG_JOURNAL_KINDS_LEN
};

#define SG_NOTE_FIELDS_MAX 8

struct sg_note {
    UT_hash_handle hh;
    uint64_t key, count, last_ms;
    size_t fields_len;
    char *fields[SG_NOTE_FIELDS_MAX]; /* NULL: not known */
};

struct sg_notebook {
    struct sg_note *by_key; /* in the order of being added */
    size_t len;
    unsigned turned_away;
};

struct sg_journal {
    struct sg_notebook books[SG_JOURNAL_KINDS_LEN];
};

/* Names of the fields, and how many there are. */
const char *const *sg_journal_fields(enum sg_journal_kind kind, size_t *ret_len);

/* True: it was noted already, and has been counted once more. now_ms: of any clock that does not go back. */
bool sg_journal_hit(struct sg_journal *journal, enum sg_journal_kind kind, uint64_t key, uint64_t now_ms);
/* After a miss: is it worth making the fields? */
bool sg_journal_admits(struct sg_journal *journal, enum sg_journal_kind kind);
/* fields: as many as the kind has; copied. */
void sg_journal_add(struct sg_journal *journal, enum sg_journal_kind kind, uint64_t key, uint64_t now_ms,
                    const char *const *fields);
void sg_journal_free(struct sg_journal *journal);

/* Copies of notes, from several journals. */
struct sg_note_copy {
    uint64_t count, age_ms;
    size_t fields_len;
    char *fields[SG_NOTE_FIELDS_MAX];
};
struct sg_notes {
    struct sg_note_copy *v;
    size_t n, cap;
};
void sg_notes_take(struct sg_notes *notes, const struct sg_journal *journal, enum sg_journal_kind kind,
                   uint64_t now_ms);
/* Latest first; notes of several workers that say the same become one. */
void sg_notes_settle(struct sg_notes *notes);
void sg_notes_free(struct sg_notes *notes);

#endif
