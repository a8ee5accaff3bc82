/*
 * memory — the C library's heap, told what this program is: a process that lives for months, with thousands of small
 * things that go all at once, and now and then a large one.
 */
#ifndef SEGUE_MEMORY_H
#define SEGUE_MEMORY_H

#include <stddef.h>

/* Once, before there are threads. Large blocks go back to the system when they are freed, however many came before. */
void sg_memory_setup(void);

/* How many of its things an owner had at most since the heap was last given back. One thread. */
struct sg_crowd {
    size_t most;
};
/* The owner has now left of them. When most are gone, what they leave is given back to the system: pages that are free
 * between others are not by themselves. Any number of owners, each in its thread; takes milliseconds, once a halving.
 */
void sg_memory_left(struct sg_crowd *crowd, size_t left);

#endif
