/* copy — COPY of a table: what becomes of the statement, and of the data that follow it (segue/copy.h). */
#ifndef SEGUE_REWRITE_COPY_H
#define SEGUE_REWRITE_COPY_H

#include "context.h"

void sg_rewrite_copy(struct sg_context *cx, const struct sg_statement *statement);

#endif
