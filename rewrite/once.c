#include "once.h"

static bool is_stable_function(const struct sg_node *call) {
    static const char *const names[] = {
        "abs",
        "age",
        "array_append",
        "array_cat",
        "array_prepend",
        "array_remove",
        "btrim",
        "ceil",
        "ceiling",
        "char_length",
        "character_length",
        "chr",
        "concat",
        "concat_ws",
        "date",
        "date_part",
        "date_trunc",
        "decode",
        "encode",
        "extract",
        "floor",
        "format",
        "initcap",
        "json_build_array",
        "json_build_object",
        "jsonb_build_array",
        "jsonb_build_object",
        "jsonb_set",
        "left",
        "length",
        "lower",
        "lpad",
        "ltrim",
        "make_date",
        "md5",
        "mod",
        "now",
        "overlay",
        "position",
        "power",
        "quote_literal",
        "regexp_replace",
        "repeat",
        "replace",
        "reverse",
        "right",
        "round",
        "rpad",
        "rtrim",
        "sha256",
        "split_part",
        "sqrt",
        "strpos",
        "substr",
        "substring",
        "timezone",
        "to_char",
        "to_date",
        "to_hex",
        "to_json",
        "to_jsonb",
        "to_number",
        "to_timestamp",
        "translate",
        "trim",
        "trunc",
        "upper",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], call->name) == 0)
            return true;
    return false;
}

bool sg_must_evaluate_once(const struct sg_node *node) {
    if (!node)
        return false;
    if (node->kind == SG_NODE_SUBLINK || (node->kind == SG_NODE_CALL && !is_stable_function(node)))
        return true;
    for (size_t i = 0; i < node->kids.n; i++)
        if (sg_must_evaluate_once(node->kids.v[i]))
            return true;
    return false;
}

bool sg_has_param(const struct sg_node *node) {
    /* What a sub-query holds is not searched: it is taken to have one. */
    if (node->kind == SG_NODE_PARAM || node->kind == SG_NODE_SUBLINK)
        return true;
    for (size_t i = 0; i < node->kids.n; i++)
        if (sg_has_param(node->kids.v[i]))
            return true;
    return false;
}

const char *sg_cast_type(struct sg_context *cx, const char *type) {
    size_t base = strcspn(type, "[");
    if ((base == 9 && strncmp(type, "character", base) == 0) || (base == 4 && strncmp(type, "char", base) == 0))
        return sg_arena_printf(cx->arena, "bpchar%s", type + base);
    if (base == 3 && strncmp(type, "bit", base) == 0)
        return sg_arena_printf(cx->arena, "\"bit\"%s", type + base);
    return sg_catalog_sql(cx, type);
}

size_t sg_constant_end(const struct sg_context *cx, int at) {
    size_t i = sg_token_at(&cx->tokens, (size_t)at);
    bool string = cx->tokens.v[i].kind == SG_TOKEN_STRING;
    while (string && i + 1 < cx->tokens.n && cx->tokens.v[i + 1].kind == SG_TOKEN_STRING)
        i++;
    return sg_token_end(&cx->tokens, i);
}
