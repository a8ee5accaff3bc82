/*
 * userlist — auth_file: users and their secrets, in PgBouncer's format.
 *
 *      "name" "secret"         a line each; quotes in either are doubled, what follows the two is ignored
 *      ; comment               as are empty lines
 *
 * A secret is a password, md5..., or SCRAM-SHA-256$... as pg_authid has it; "" is none. Never changes after it has been
 * read; any thread. Whoever frees it wipes it.
 */
#ifndef SEGUE_AUTH_USERLIST_H
#define SEGUE_AUTH_USERLIST_H

#include "proxy/config/faults.h"
#include "secret.h"

struct sg_userlist;

/* NULL: there are faults, all of them told, none with a secret in it. Passwords get a verifier with the salt that
 * salt_of makes for their user: about a millisecond each. */
struct sg_userlist *sg_userlist_parse(const char *name, struct sg_span text,
                                      void (*salt_of)(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]),
                                      struct sg_config_faults *faults);
struct sg_userlist *sg_userlist_read(const char *path,
                                     void (*salt_of)(const char *user, char ret_salt[SG_SCRAM_SALT_TEXT]),
                                     struct sg_config_faults *faults);
void sg_userlist_free(struct sg_userlist *list);
/* NULL: not there. */
const struct sg_secret *sg_userlist_find(const struct sg_userlist *list, const char *user);

#endif
