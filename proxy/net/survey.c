#include "survey.h"

#include "worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 2

/* Freed by whoever is the last to let go: the console, or a worker that answers too late. */
struct sg_survey {
    pthread_mutex_t lock; /* all below but kind */
    pthread_cond_t answered;
    unsigned holders, missing;
    enum sg_journal_kind kind;
    struct sg_notes notes;
};

/* Gives the lock up, and the hold. */
static void let_go(struct sg_survey *survey) {
    bool is_last = --survey->holders == 0;
    pthread_mutex_unlock(&survey->lock);
    if (is_last) {
        sg_notes_free(&survey->notes);
        pthread_cond_destroy(&survey->answered);
        pthread_mutex_destroy(&survey->lock);
        free(survey);
    }
}

static struct sg_survey *survey_new(int workers, enum sg_journal_kind kind) {
    struct sg_survey *survey = calloc(1, sizeof(*survey));
    if (!survey) {
        abort();
    }
    pthread_mutex_init(&survey->lock, NULL);
    pthread_cond_init(&survey->answered, NULL);
    survey->kind = kind;
    survey->missing = (unsigned)workers;
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

void sg_survey_answer(struct sg_worker *w) {
    struct sg_survey *survey = atomic_exchange(&w->survey, NULL);
    if (!survey) {
        return;
    }
    pthread_mutex_lock(&survey->lock);
    sg_notes_take(&survey->notes, &w->journal, survey->kind, uv_now(&w->loop));
    survey->missing--;
    pthread_cond_signal(&survey->answered);
    let_go(survey);
}

void sg_survey_run(struct sg_worker *const *workers, int len, enum sg_journal_kind kind, struct sg_notes *ret_notes) {
    struct sg_survey *survey = survey_new(len, kind);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    for (int i = 0; i < len; i++) {
        sg_survey_decline(workers[i]); /* one that an earlier console has given up on */
        atomic_store(&workers[i]->survey, survey);
        uv_async_send(&workers[i]->wake);
    }
    pthread_mutex_lock(&survey->lock);
    while (survey->missing > 0 && pthread_cond_timedwait(&survey->answered, &survey->lock, &until) != ETIMEDOUT) {
    }
    *ret_notes = survey->notes;
    survey->notes = (struct sg_notes){0};
    let_go(survey);
    sg_notes_settle(ret_notes);
}
