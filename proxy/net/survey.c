#include "survey.h"

#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 2

/* Freed by whoever is the last to let go: the asker, or a worker that answers too late. */
struct sg_survey {
    pthread_mutex_t lock; /* all below but question and kind */
    pthread_cond_t answered;
    unsigned holders;
    enum sg_question question;
    enum sg_journal_kind kind;
    struct sg_findings findings;
};

void sg_findings_free(struct sg_findings *findings) {
    sg_notes_free(&findings->notes);
    sg_session_rows_free(&findings->sessions);
    sg_tally_rows_free(&findings->tallies);
}

/* Gives the lock up, and the hold. */
static void let_go(struct sg_survey *survey) {
    bool is_last = --survey->holders == 0;
    pthread_mutex_unlock(&survey->lock);
    if (is_last) {
        sg_findings_free(&survey->findings);
        pthread_cond_destroy(&survey->answered);
        pthread_mutex_destroy(&survey->lock);
        free(survey);
    }
}

static struct sg_survey *survey_new(int workers, enum sg_question question, enum sg_journal_kind kind) {
    struct sg_survey *survey = calloc(1, sizeof(*survey));
    if (!survey) {
        abort();
    }
    pthread_mutex_init(&survey->lock, NULL);
    pthread_cond_init(&survey->answered, NULL);
    survey->question = question;
    survey->kind = kind;
    survey->findings.asked = workers;
    survey->holders = (unsigned)workers + 1;
    return survey;
}

void sg_survey_decline(struct sg_worker *w) {
    struct sg_survey *survey = atomic_exchange(&w->survey, NULL);
    if (survey) {
        pthread_mutex_lock(&survey->lock);
        let_go(survey);
    }
}

static void take(struct sg_survey *survey, struct sg_worker *w) {
    struct sg_findings *findings = &survey->findings;
    switch (survey->question) {
    case SG_ASK_NOTHING:
        break;
    case SG_ASK_NOTES:
        sg_notes_take(&findings->notes, &w->journal, survey->kind, uv_now(&w->loop));
        break;
    case SG_ASK_SESSIONS:
        sg_session_rows_take(&findings->sessions, w, w->number);
        break;
    case SG_ASK_TALLIES:
        sg_sessions_count(w, &findings->census);
        sg_tally_rows_take(&findings->tallies, &w->tallies, uv_now(&w->loop));
        break;
    }
    findings->answered++;
}

void sg_survey_answer(struct sg_worker *w) {
    struct sg_survey *survey = atomic_exchange(&w->survey, NULL);
    if (!survey) {
        return;
    }
    pthread_mutex_lock(&survey->lock);
    take(survey, w);
    pthread_cond_signal(&survey->answered);
    let_go(survey);
}

void sg_survey_run(struct sg_worker *const *workers, int len, enum sg_question question, enum sg_journal_kind kind,
                   struct sg_findings *ret_findings) {
    struct sg_survey *survey = survey_new(len, question, kind);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    for (int i = 0; i < len; i++) {
        sg_survey_decline(workers[i]); /* one that an earlier asker has given up on */
        atomic_store(&workers[i]->survey, survey);
        uv_async_send(&workers[i]->wake);
    }
    pthread_mutex_lock(&survey->lock);
    while (survey->findings.answered < len &&
           pthread_cond_timedwait(&survey->answered, &survey->lock, &until) != ETIMEDOUT) {
    }
    *ret_findings = survey->findings;
    survey->findings = (struct sg_findings){0};
    let_go(survey);
    sg_notes_settle(&ret_findings->notes);
    sg_session_rows_settle(&ret_findings->sessions);
    sg_tally_rows_settle(&ret_findings->tallies);
}
