/*
 * The physical tables of each phase, derived from the schema block of a golden file: what the migration would have made
 * of the tables by then. execute.py derives the same for a real server.
 *
 * The block keeps a discipline that makes this a matter of lines: `CREATE TABLE name (`, one column or constraint a
 * line, `);` on a line of its own.
 */
#ifndef SEGUE_TESTS_SCHEMA_H
#define SEGUE_TESTS_SCHEMA_H

#include "case_file.h"

/* keep_old: new_only before the old column is dropped. */
struct sg_snapshot *golden_snapshot(struct golden_file *file, enum sg_phase phase, bool keep_old, uint64_t epoch);

#endif
