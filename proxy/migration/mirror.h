/*
 * mirror — what stands on the old column gets a twin on the new one, each by its route that blocks nobody: indexes
 * CONCURRENTLY, constraints NOT VALID and then VALIDATE, NOT NULL by way of a validated CHECK.
 *
 * How a definition reads once the column has the other name is not worked out on text: an empty table LIKE the real one
 * gets the same index or constraint, its column is renamed, PostgreSQL prints the definition, and all of it is rolled
 * back. So expressions, predicates, operator classes and names with quotes come out right by construction.
 */
#ifndef SEGUE_MIGRATION_MIRROR_H
#define SEGUE_MIGRATION_MIRROR_H

#include "proxy/migration/task.h"

enum sg_twins {
    SG_TWINS_ALL,    /* everything; unique indexes as plain ones, see contract.c */
    SG_TWINS_UNIQUE, /* unique indexes as unique ones, for contract */
};

/* Builds missing twins for a moment. MORE with *ret_complete false after building some; *ret_complete true when none is
 * missing. */
enum sg_turn sg_mirror_build(struct sg_task *task, enum sg_twins twins, bool *ret_complete, struct sg_error *reterr);

#endif
