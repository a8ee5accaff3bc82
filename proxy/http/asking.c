#include "proxy/http/asking.h"

#include "proxy/admin/run.h"

#include <string.h>

void sg_asking_begin(struct sg_asking *asking, struct sg_console *console) {
    static char user[] = "http";
    *asking = (struct sg_asking){.session = {.console = console, .user = user, .is_known = true}};
    sg_arena_init(&asking->session.arena, 16384);
}

void sg_asking_end(struct sg_asking *asking) {
    PQfinish(asking->session.control);
    sg_arena_free(&asking->session.arena);
}

bool sg_asking_show(struct sg_asking *asking, const char *sql, struct sg_result *ret_result, struct sg_error *reterr) {
    struct sg_command command;
    size_t cursor = 0;
    switch (sg_command_next(&asking->session.arena, sg_span_of(sql), &cursor, &command, reterr)) {
    case SG_COMMAND_BAD:
        return false;
    case SG_COMMAND_NONE:
        sg_error_set(reterr, SG_SQLSTATE_SYNTAX_ERROR, "there is no command");
        return false;
    case SG_COMMAND_OK:
        break;
    }
    if (command.role != SG_ROLE_STATS && command.role != SG_ROLE_LATER) {
        sg_error_set(reterr, SG_SQLSTATE_INSUFFICIENT_PRIVILEGE, "only what stats users may look at is shown here");
        return false;
    }
    sg_result_init(ret_result, &asking->session.arena);
    return sg_admin_session_run(&asking->session, &command, ret_result, reterr);
}

const char *sg_asking_value(const struct sg_result *result, size_t row, const char *column) {
    for (uint16_t i = 0; i < result->columns; i++)
        if (strcmp(result->names[i], column) == 0)
            return result->cells[row * result->columns + i];
    return NULL;
}
