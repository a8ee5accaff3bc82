/* base64 — RFC 4648, section 4, strictly: padded, without blanks. As SCRAM messages and secrets have it. */
#ifndef SEGUE_AUTH_BASE64_H
#define SEGUE_AUTH_BASE64_H

#include "segue/span.h"

#include <stdint.h>

/* Characters for so many bytes, and a NUL. */
#define SG_BASE64_SIZE(bytes) (((bytes) + 2) / 3 * 4 + 1)

/* out holds SG_BASE64_SIZE(len) characters. */
void sg_base64_encode(const uint8_t *bytes, size_t len, char *out);
/* False: text is not base64, or is of more than size bytes. */
bool sg_base64_decode(struct sg_span text, uint8_t *out, size_t size, size_t *ret_len);

#endif
