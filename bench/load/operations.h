/*
 * operations — what an app does with a row, as one statement each, and what the answer must be. Every operation returns
 * false only when its statement failed; an answer that is wrong is counted and the work goes on.
 */
#ifndef SEGUE_BENCH_OPERATIONS_H
#define SEGUE_BENCH_OPERATIONS_H

#include "bench/load/client.h"

/* One statement of the kind; rows of the held range are picked at random. Writes are journalled. */
bool sg_operation_read(struct sg_client *client);
bool sg_operation_insert(struct sg_client *client);
bool sg_operation_update(struct sg_client *client);
bool sg_operation_upsert(struct sg_client *client);
bool sg_operation_delete(struct sg_client *client);
/* Rows everybody writes: no model, but name and version must belong together. */
bool sg_operation_hot(struct sg_client *client);

/* Reads one row back in some way and compares it with the model. */
bool sg_operation_read_back(struct sg_client *client, size_t row);

#endif
