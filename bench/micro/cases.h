/* cases — the statements that are measured, and the tables they speak of. */
#ifndef SEGUE_MICRO_CASES_H
#define SEGUE_MICRO_CASES_H

#include "segue/rewrite.h"

/* A run of ten digits that makes each text another one; its parts, malloc'd. */
#define COUNTER "1000000000"

struct micro_case {
    const char *label;
    char *sql; /* the caller may count its COUNTERs up */
};

/* `users` is under migration, in this phase, and so are its parts, users_2000_01 and so on. */
struct sg_snapshot *micro_snapshot(enum sg_phase phase, unsigned parts);

size_t micro_cases(struct micro_case **ret_cases);
void micro_cases_free(struct micro_case *cases, size_t n);

#endif
