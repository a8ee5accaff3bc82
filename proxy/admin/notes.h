/* notes — SHOW REFUSED, SHOW REWRITES, SHOW REFERENCES: what the workers of this process have met. */
#ifndef SEGUE_ADMIN_NOTES_H
#define SEGUE_ADMIN_NOTES_H

#include "proxy/admin/result.h"
#include "proxy/admin/session.h"
#include "proxy/net/journal.h"

/* migration: those about it only; NULL: all. */
bool sg_admin_session_notes(struct sg_admin_session *session, enum sg_journal_kind kind, const char *migration,
                            struct sg_result *result, struct sg_error *reterr);

#endif
