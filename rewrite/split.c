#include "segue/rewrite.h"
#include "token.h"

bool sg_split_next(struct sg_span text, size_t *cursor, struct sg_span *ret_statement) {
    if (*cursor >= text.len)
        return false;
    struct sg_span rest = {text.ptr + *cursor, text.len - *cursor};
    *ret_statement = (struct sg_span){rest.ptr, sg_statement_end(rest, (struct sg_lexis){0})};
    *cursor += ret_statement->len;
    return true;
}
