/* log_line — one event as one line, of text or JSON, whatever its fields hold. Of bounded length: what does not fit is
 * left out, a character or a field at a time, so that a line of JSON stays JSON. */
#ifndef SEGUE_LOG_LINE_H
#define SEGUE_LOG_LINE_H

#include "proxy/log.h"

#define SG_LOG_LINE_BYTES 4096

struct sg_log_line {
    char text[SG_LOG_LINE_BYTES];
    size_t len;
};

/* What happened. message NULL: the event and its fields say all; otherwise the text form has the message alone. */
struct sg_log_event {
    enum sg_log_level level;
    const char *name, *message;
    const struct sg_log_field *fields;
    size_t fields_len;
};

void sg_log_line_make(struct sg_log_line *line, enum sg_log_format format, const struct sg_log_event *event);

#endif
