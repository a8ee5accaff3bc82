#include "portals.h"

#include <stdlib.h>
#include <string.h>

static void free_portal(struct sg_portal *portal) {
    if (portal->plan) {
        sg_plan_unref(portal->plan);
    }
    sg_text_unref(portal->text);
    free(portal);
}

static bool is_named(const struct sg_portal *portal, struct sg_span name) {
    return sg_span_eq((struct sg_span){portal->name, portal->name_len}, name);
}

static void drop(struct sg_portals *portals, struct sg_span name) {
    struct sg_portal **link = &portals->first;
    while (*link && !is_named(*link, name)) {
        link = &(*link)->next;
    }
    struct sg_portal *found = *link;
    if (found) {
        *link = found->next;
        free_portal(found);
    }
}

static bool is_wanted(const struct sg_version *v) {
    return v && v->text && ((v->plan && v->plan->copy) || (v->text->may_prepare && !v->is_sql));
}

void sg_portals_bind(struct sg_portals *portals, struct sg_span name, const struct sg_version *v) {
    drop(portals, name);
    if (!is_wanted(v)) {
        return;
    }
    struct sg_portal *added = malloc(sizeof(*added) + name.len);
    if (!added) {
        abort();
    }
    *added = (struct sg_portal){.next = portals->first,
                                .plan = v->plan ? sg_plan_ref(v->plan) : NULL,
                                .text = sg_text_ref(v->text),
                                .star = v->star,
                                .name_len = name.len};
    memcpy(added->name, name.ptr, name.len);
    portals->first = added;
}

const struct sg_portal *sg_portals_find(const struct sg_portals *portals, struct sg_span name) {
    const struct sg_portal *portal = portals->first;
    while (portal && !is_named(portal, name)) {
        portal = portal->next;
    }
    return portal;
}

void sg_portals_forget(struct sg_portals *portals) {
    while (portals->first) {
        struct sg_portal *next = portals->first->next;
        free_portal(portals->first);
        portals->first = next;
    }
}
