#include "resolve.h"

/* How sure a label is, as in PostgreSQL's FigureColnameInternal: 0 none, 1 weak (a type's name), 2 good. */
static int figure(const struct sg_node *node, const char **ret_name, const struct sg_node **ret_source) {
    int strength;
    switch (node->kind) {
    case SG_NODE_COLUMN:
        if (node->star || node->names.n == 0)
            return 0;
        *ret_name = node->names.v[node->names.n - 1];
        *ret_source = node;
        return 2;
    case SG_NODE_FIELD:
        if (!node->name)
            return figure(node->kids.v[0], ret_name, ret_source);
        *ret_name = node->name;
        *ret_source = node;
        return 2;
    case SG_NODE_CALL:
        *ret_name = node->name;
        return 2;
    case SG_NODE_CAST:
        strength = figure(node->kids.v[0], ret_name, ret_source);
        if (strength > 1)
            return strength;
        *ret_name = node->name;
        return 1;
    case SG_NODE_COLLATE:
        return figure(node->kids.v[0], ret_name, ret_source);
    case SG_NODE_CASE:
        strength = node->last ? figure(node->last, ret_name, ret_source) : 0;
        if (strength > 1)
            return strength;
        *ret_name = "case";
        return 1;
    case SG_NODE_ROW:
        *ret_name = "row";
        return 2;
    case SG_NODE_SUBLINK:
        if (node->sublink == SG_SUBLINK_EXISTS || node->sublink == SG_SUBLINK_ARRAY) {
            *ret_name = node->sublink == SG_SUBLINK_EXISTS ? "exists" : "array";
            return 2;
        }
        if (node->sublink == SG_SUBLINK_EXPR) {
            const struct sg_query *query = node->query;
            while (query->left)
                query = query->left;
            if (query->targets.n == 0)
                return 0;
            const struct sg_node *inner = NULL; /* the sub-query keeps its own label */
            *ret_name =
                query->targets.v[0].name ? query->targets.v[0].name : sg_figure_label(query->targets.v[0].expr, &inner);
            return 2;
        }
        return 0;
    default:
        *ret_name = node->name;
        return node->name ? 2 : 0;
    }
}

const char *sg_figure_label(const struct sg_node *node, const struct sg_node **ret_source) {
    const char *name = NULL;
    *ret_source = NULL;
    return figure(node, &name, ret_source) && name ? name : "?column?";
}
