/*
 * asking — what the console would answer, for a request: the same commands, in the role of a stats user, who may look
 * and change nothing. Lives as long as the request, and belongs to its thread.
 */
#ifndef SEGUE_HTTP_ASKING_H
#define SEGUE_HTTP_ASKING_H

#include "proxy/admin/registry.h"
#include "proxy/admin/result.h"

struct sg_asking {
    struct sg_admin_session session; /* without a wire; its control connection is made when a command needs one */
};

void sg_asking_begin(struct sg_asking *asking, struct sg_console *console);
void sg_asking_end(struct sg_asking *asking);
/* One SHOW command. The result lives in the arena of the asking. */
bool sg_asking_show(struct sg_asking *asking, const char *sql, struct sg_result *ret_result, struct sg_error *reterr);
/* The value in the row, by the column's name; NULL: it is NULL, or there is no such column. */
const char *sg_asking_value(const struct sg_result *result, size_t row, const char *column);

#endif
