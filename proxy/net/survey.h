/*
 * survey — a console asks every worker for a copy of its notes. The workers answer between two events, so what they
 * note is touched by nobody else; nothing on the path of a message waits for a console.
 *
 *      sg_survey_run (console thread) --mailbox, wake--> sg_survey_answer (each worker) --> run goes on with the last
 */
#ifndef SEGUE_NET_SURVEY_H
#define SEGUE_NET_SURVEY_H

#include "journal.h"

struct sg_worker;
struct sg_survey;

/* A worker that does not answer in time is left out. One run at a time. */
void sg_survey_run(struct sg_worker *const *workers, int len, enum sg_journal_kind kind, struct sg_notes *ret_notes);
/* The worker's thread, on being woken. */
void sg_survey_answer(struct sg_worker *worker);
/* The worker ends: what is in its mailbox is never answered. */
void sg_survey_decline(struct sg_worker *worker);

#endif
