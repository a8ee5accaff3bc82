/* copy_options — the options of COPY FROM, as far as the shape of its data depends on them. */
#ifndef SEGUE_REWRITE_COPY_OPTIONS_H
#define SEGUE_REWRITE_COPY_OPTIONS_H

#include "context.h"
#include "segue/copy.h"

struct sg_copy_options {
    enum sg_copy_format format;
    enum sg_copy_header header;
    enum sg_encoding encoding; /* of the data: the client's, unless the statement says otherwise */
    uint8_t delimiter, quote, escape;
};

/* Values that the server will refuse are read as the default. */
struct sg_copy_options sg_copy_options_read(const struct sg_statement *statement, enum sg_encoding client);

enum sg_copy_encoding sg_copy_encoding_of(enum sg_encoding encoding);

/* A column's name, in the encoding of the data, as it stands in a header line of them. */
struct sg_span sg_copy_header_name(struct sg_arena *arena, const struct sg_copy_options *options, const char *name);

#endif
