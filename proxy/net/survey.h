/*
 * survey — somebody asks every worker for a copy of what it alone knows. The workers answer between two events, so what
 * they note is touched by nobody else; nothing on the path of a message waits for whoever asks.
 *
 *      sg_survey_run (asking thread) --mailbox, wake--> sg_survey_answer (each worker) --> run goes on with the last
 */
#ifndef SEGUE_NET_SURVEY_H
#define SEGUE_NET_SURVEY_H

#include "journal.h"
#include "session_row.h"
#include "tally.h"

#include <stdbool.h>

struct sg_worker;
struct sg_survey;

enum sg_question {
    SG_ASK_NOTHING, /* are you there? */
    SG_ASK_NOTES,   /* of one kind */
    SG_ASK_SESSIONS,
    SG_ASK_TALLIES, /* with counts of the sessions there are */
};

/* Settled: ordered, and what several workers say of one thing added up. The caller frees it. */
struct sg_findings {
    struct sg_notes notes;
    struct sg_session_rows sessions;
    struct sg_tally_rows tallies; /* with census */
    struct sg_census census;
    int asked, answered; /* workers */
};
void sg_findings_free(struct sg_findings *findings);

/* A worker that does not answer in time is left out. One run at a time. */
void sg_survey_run(struct sg_worker *const *workers, int len, enum sg_question question, enum sg_journal_kind kind,
                   struct sg_findings *ret_findings);
/* The worker's thread, on being woken. */
void sg_survey_answer(struct sg_worker *worker);
/* The worker ends: what is in its mailbox is never answered. */
void sg_survey_decline(struct sg_worker *worker);

#endif
