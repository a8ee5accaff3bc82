/* scram_text — attributes of SCRAM messages, `a=value,b=value`, read one by one by either end. */
#ifndef SEGUE_AUTH_SCRAM_TEXT_H
#define SEGUE_AUTH_SCRAM_TEXT_H

#include "scram.h"

/* The value of the attribute at the front, which must be of this name; the comma behind it is taken as well. */
bool sg_scram_attribute(struct sg_span *text, char name, struct sg_span *ret_value);
/* Nothing, not even a comma, stands behind the value. */
bool sg_scram_is_last(struct sg_span value, struct sg_span message);
/* Any further ones, each of them well-formed, until the text ends. */
bool sg_scram_extensions(struct sg_span text);
/* Of printable ASCII without a comma, and not empty. */
bool sg_scram_is_nonce(struct sg_span text);
/* "malformed SCRAM message", with why. Always false. */
bool sg_scram_malformed(struct sg_error *reterr, const char *why);
void sg_scram_put(struct sg_buf *out, struct sg_span text);
void sg_scram_put_base64(struct sg_buf *out, const uint8_t *bytes, size_t len);
/* "c=" of this header and binding. */
void sg_scram_put_binding(struct sg_buf *out, const char *header, const struct sg_scram_binding *binding);
/* Overwrites what the buffer holds, and gives it back. */
void sg_scram_wipe_buf(struct sg_buf *buf);

#endif
