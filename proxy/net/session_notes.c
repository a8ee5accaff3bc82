#include "session_notes.h"

#include "proxy/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define SAMPLE_BYTES 1000u /* of a statement */
#define LOG_BYTES    300   /* of it, in the log */

/* ---- Who ---- */

static void put(char to[SG_NAME_BYTES], struct sg_span value) {
    size_t len = value.len < SG_NAME_BYTES ? value.len : SG_NAME_BYTES - 1u;
    memset(to, 0, SG_NAME_BYTES);
    if (len > 0) {
        memcpy(to, value.ptr, len);
    }
}

static void rehash(struct sg_who *who) {
    who->key = XXH3_64bits(who, offsetof(struct sg_who, key));
}

static bool is_beginning(struct sg_span value, const char *word, size_t least) {
    return value.len >= least && value.len <= strlen(word) && strncasecmp(value.ptr, word, value.len) == 0;
}

/* As the server reads the parameter: "database", or a boolean, of which a beginning is enough. */
static const char *replication_of(struct sg_span value) {
    if (value.len == 0 || is_beginning(value, "false", 1) || is_beginning(value, "no", 1) ||
        is_beginning(value, "off", 2) || is_beginning(value, "0", 1)) {
        return "none";
    }
    return sg_span_eq_cstr(value, "database") ? "logical" : "physical";
}

void sg_notes_introduce(struct sg_session *s, struct sg_span user, struct sg_span database,
                        struct sg_span application_name, struct sg_span replication) {
    struct sg_who *who = malloc(sizeof(*who));
    if (!who) {
        abort();
    }
    put(who->user, user);
    put(who->database, database);
    put(who->application_name, application_name);
    who->replication = replication_of(replication);
    rehash(who);
    s->who = who;
}

void sg_notes_rename(struct sg_session *s, struct sg_span application_name) {
    if (s->who) {
        put(s->who->application_name, application_name);
        rehash(s->who);
    }
}

/* ---- What was used ---- */

static const char *sample(struct sg_session *s, struct sg_span sql) {
    return sg_mask_literals(&s->worker->desk.scratch, sql, SAMPLE_BYTES, s->encoding, s->is_backslash_quotes);
}

/* "m1, m2" */
static const char *migrations_of(struct sg_session *s, uint64_t bits) {
    const char *list = NULL;
    size_t n = sg_snapshot_mappings(s->pin->snapshot);
    for (size_t i = 0; i < n && i < 64; i++) {
        if (bits >> i & 1) {
            const char *name = sg_snapshot_mapping(s->pin->snapshot, i)->migration;
            list = list ? sg_arena_printf(&s->worker->desk.scratch, "%s, %s", list, name) : name;
        }
    }
    return list;
}

static void note_rewrite(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan, uint64_t now_ms) {
    struct sg_journal *journal = &s->worker->journal;
    if (sg_journal_hit(journal, SG_JOURNAL_REWRITES, plan->fingerprint, now_ms) ||
        !sg_journal_admits(journal, SG_JOURNAL_REWRITES)) {
        return;
    }
    sg_journal_add(journal, SG_JOURNAL_REWRITES, plan->fingerprint, now_ms,
                   (const char *const[]){s->who->database,
                                         migrations_of(s, plan->used_old | plan->used_new | plan->used_star),
                                         sample(s, sql), sample(s, plan->sql)});
}

static void note_reference(struct sg_session *s, struct sg_span sql, const struct sg_mapping *mapping, const char *name,
                           uint64_t now_ms) {
    struct sg_journal *journal = &s->worker->journal;
    uint64_t key = XXH3_64bits_withSeed(mapping->migration, strlen(mapping->migration), s->who->key);
    key = XXH3_64bits_withSeed(name, strlen(name), key);
    if (!sg_journal_hit(journal, SG_JOURNAL_REFERENCES, key, now_ms) &&
        sg_journal_admits(journal, SG_JOURNAL_REFERENCES)) {
        sg_journal_add(journal, SG_JOURNAL_REFERENCES, key, now_ms,
                       (const char *const[]){mapping->migration, name, s->who->user, s->who->application_name,
                                             s->who->database, sample(s, sql)});
    }
}

void sg_notes_used(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan) {
    uint64_t used = plan->used_old | plan->used_new | plan->used_star;
    uint64_t now_ms = uv_now(&s->worker->loop);
    if (plan->action == SG_REWRITE) {
        note_rewrite(s, sql, plan, now_ms);
    }
    for (size_t i = 0; used >> i && i < 64; i++) {
        const struct sg_mapping *mapping = sg_snapshot_mapping(s->pin->snapshot, i);
        if (used >> i & 1 && s->trace.phase <= (uint8_t)mapping->phase) {
            s->trace.phase = (uint8_t)(mapping->phase + 1);
        }
        if (plan->used_old >> i & 1) {
            note_reference(s, sql, mapping, mapping->old_name, now_ms);
        }
        if (plan->used_new >> i & 1) {
            note_reference(s, sql, mapping, mapping->new_name, now_ms);
        }
        if (plan->used_star >> i & 1) {
            note_reference(s, sql, mapping, "*", now_ms);
        }
        if (used >> i == 1) {
            break;
        }
    }
}

/* ---- What was refused ---- */

static void log_refusal(const struct sg_session *s, const char *migration, const struct sg_error *err,
                        const char *statement) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(5);
    char sample[LOG_BYTES + 1];
    snprintf(sample, sizeof(sample), "%s", statement);
    sg_log_event_limited(
        &limit, SG_LOG_WARN, "refused", SG_LOG_TEXTUAL("user", s->who->user),
        SG_LOG_TEXTUAL("application_name", s->who->application_name), SG_LOG_TEXTUAL("database", s->who->database),
        SG_LOG_TEXTUAL("migration", migration ? migration : ""), SG_LOG_WORD("sqlstate", err->sqlstate),
        SG_LOG_TEXTUAL("reason", err->message), SG_LOG_TEXTUAL("statement", sample));
}

void sg_notes_refused(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan,
                      const struct sg_error *err) {
    struct sg_journal *journal = &s->worker->journal;
    uint64_t now_ms = uv_now(&s->worker->loop);
    const char *statement = sql.len > 0 ? sample(s, sql) : NULL;
    const char *migration = plan ? migrations_of(s, plan->concerned) : NULL;
    log_refusal(s, migration, err, statement ? statement : "");
    uint64_t key = XXH3_64bits_withSeed(err->message, strlen(err->message), s->who->key);
    key = XXH3_64bits_withSeed(statement ? statement : "", statement ? strlen(statement) : 0, key);
    if (!sg_journal_hit(journal, SG_JOURNAL_REFUSED, key, now_ms) && sg_journal_admits(journal, SG_JOURNAL_REFUSED)) {
        sg_journal_add(journal, SG_JOURNAL_REFUSED, key, now_ms,
                       (const char *const[]){s->who->user, s->who->application_name, s->who->database, migration,
                                             err->sqlstate, err->message, err->hint[0] ? err->hint : NULL, statement});
    }
}
