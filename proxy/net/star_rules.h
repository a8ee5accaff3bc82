/* star_rules — what `*` means to a client, by what it says of itself at start-up. Immutable; any thread. */
#ifndef SEGUE_NET_STAR_RULES_H
#define SEGUE_NET_STAR_RULES_H

#include "segue/protocol.h"
#include "segue/rewrite.h"

/* NULL members fit every client. */
struct sg_star_rule {
    const char *user, *database, *application_name;
    enum sg_star star;
};

/* The first rule that fits what a client says at start-up decides; with none, it is otherwise. */
enum sg_star sg_star_rules_choose(const struct sg_star_rule *rules, size_t len, struct sg_span user,
                                  struct sg_span database, struct sg_span application_name, enum sg_star otherwise);

/* A deep copy and its end. */
struct sg_star_rule *sg_star_rules_copy(const struct sg_star_rule *rules, size_t len);
void sg_star_rules_free(struct sg_star_rule *rules, size_t len);

#endif
