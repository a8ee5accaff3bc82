/* View and builder are each other's inverse: whatever a view accepted, its builder must give back byte for byte. */
#include "decode.h"

#include <stdlib.h>

static bool rebuild_frontend(struct sg_buf *buf, uint8_t type, const uint8_t *body, size_t len) {
    struct sg_query query;
    struct sg_parse parse;
    struct sg_target target;
    if (type == 'Q' && sg_query_read(body, len, &query) == SG_READ_OK) {
        sg_msg_query(buf, query.sql);
    } else if (type == 'P' && sg_parse_read(body, len, &parse) == SG_READ_OK) {
        sg_msg_parse(buf, parse.name, parse.sql, parse.nparams, parse.param_oids);
    } else if (type == 'C' && sg_target_read(body, len, &target) == SG_READ_OK) {
        sg_msg_close(buf, target.kind, target.name);
    } else {
        return false;
    }
    return true;
}

static bool rebuild_backend(struct sg_buf *buf, uint8_t type, const uint8_t *body, size_t len) {
    char status;
    struct sg_parameter_status parameter;
    struct sg_backend_key key;
    struct sg_span tag;
    if (type == 'Z' && sg_ready_read(body, len, &status) == SG_READ_OK) {
        sg_msg_ready(buf, status);
    } else if (type == 'S' && sg_parameter_status_read(body, len, &parameter) == SG_READ_OK) {
        sg_msg_parameter_status(buf, parameter.name.ptr, parameter.value.ptr); /* both end in a NUL of the body */
    } else if (type == 'K' && sg_backend_key_read(body, len, &key) == SG_READ_OK) {
        sg_msg_backend_key(buf, key.pid, key.key);
    } else if (type == 'C' && sg_command_tag_read(body, len, &tag) == SG_READ_OK) {
        sg_msg_command_complete(buf, tag.ptr);
    } else {
        return false;
    }
    return true;
}

bool rebuild(struct sg_buf *buf, enum side side, uint8_t type, const uint8_t *body, size_t len) {
    return side == SIDE_FRONTEND ? rebuild_frontend(buf, type, body, len) : rebuild_backend(buf, type, body, len);
}
