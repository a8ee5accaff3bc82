/* bell — wakes one thread out of its wait; any number of rings before it looks are one. */
#ifndef SEGUE_MIGRATION_BELL_H
#define SEGUE_MIGRATION_BELL_H

#include <stdbool.h>

struct sg_bell {
    int fd; /* eventfd */
};

void sg_bell_init(struct sg_bell *bell);
void sg_bell_free(struct sg_bell *bell);
void sg_bell_ring(struct sg_bell *bell); /* any thread */
/* Waits for a ring, for other_fd (-1: none) to become readable, or for the time to pass. */
void sg_bell_wait(struct sg_bell *bell, int other_fd, int timeout_ms);

#endif
