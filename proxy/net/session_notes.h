/* session_notes — what a session's statements leave in its worker's journal and in the log. */
#ifndef SEGUE_NET_SESSION_NOTES_H
#define SEGUE_NET_SESSION_NOTES_H

#include "segue/mask.h"
#include "session.h"

#include <string.h>

/* Who a session's client says it is; application_name as it was set last. */
struct sg_who {
    char user[SG_NAME_BYTES], database[SG_NAME_BYTES], application_name[SG_NAME_BYTES];
    uint64_t key;            /* hash of what is above */
    const char *replication; /* "none", "logical", "physical" */
};

static inline struct sg_tally_name sg_who_name(const struct sg_who *who) {
    struct sg_tally_name name;
    memcpy(name.database, who->database, sizeof(name.database));
    memcpy(name.user, who->user, sizeof(name.user));
    return name;
}

/* At start-up, and when the server says that the application_name has changed. */
void sg_notes_introduce(struct sg_session *s, struct sg_span user, struct sg_span database,
                        struct sg_span application_name, struct sg_span replication);
void sg_notes_rename(struct sg_session *s, struct sg_span application_name);

/* A text was planned, or a statement of it is used once more. */
void sg_notes_used(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan);
/* sql: empty if it is not known. plan NULL: it was not the rewriter that refused. */
void sg_notes_refused(struct sg_session *s, struct sg_span sql, const struct sg_plan *plan, const struct sg_error *err);

#endif
