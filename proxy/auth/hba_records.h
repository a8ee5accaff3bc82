/* hba_records — what the lines of the files have become: for the reader (hba.c), the matcher (hba_match.c) and the maps
 * (ident.c). */
#ifndef SEGUE_AUTH_HBA_RECORDS_H
#define SEGUE_AUTH_HBA_RECORDS_H

#include "hba.h"

#include <stdatomic.h>
#include <stdint.h>

enum sg_hba_connection { SG_HBA_LOCAL, SG_HBA_HOST, SG_HBA_HOSTSSL, SG_HBA_HOSTNOSSL };
enum sg_hba_address { SG_HBA_ALL, SG_HBA_SAMEHOST, SG_HBA_SAMENET, SG_HBA_RANGE, SG_HBA_NAME };

struct sg_hba_record {
    struct sg_hba_rule rule;
    enum sg_hba_connection connection;
    struct sg_hba_field databases, users;
    enum sg_hba_address address; /* LOCAL: unused */
    int family;                  /* RANGE */
    uint8_t bytes[16], mask[16]; /* in network order, 4 or 16 of them */
    const char *name;            /* NAME: a host, or ".domain" */
};

struct sg_hba_mapping {
    const char *map;
    struct sg_hba_token system_user, user;
};

struct sg_hba {
    struct sg_hba_record *records;
    size_t records_len;
    struct sg_hba_mapping *mappings;
    size_t mappings_len;
    struct sg_hba_needs needs;
    struct sg_hba_pattern *patterns; /* all of them, to be freed */
    struct sg_arena arena;
    _Atomic unsigned refs;
};

/* ---- The matcher's ---- */

/* Does the field name the client's user? */
enum sg_hba_answer sg_hba_is_user(const struct sg_hba_field *field, const char *user,
                                  const struct sg_hba_client *client);

/* A name as PostgreSQL takes it from the start-up packet: the first 63 bytes. */
struct sg_hba_name {
    char text[64];
};
struct sg_hba_name sg_hba_name(struct sg_span name);

/* ---- The readers' ---- */

/* The line is where this is needed, unless an earlier one was. */
static inline void sg_hba_need(struct sg_hba_place *need, const struct sg_hba_line *line) {
    if (need->line == 0) {
        *need = (struct sg_hba_place){line->file, line->number};
    }
}

/* ---- The maps' ---- */

/* Reads the file into hba; false: there were faults. */
bool sg_hba_read_maps(struct sg_hba *hba, const char *path, const struct sg_hba_files *files,
                      struct sg_config_faults *faults);
bool sg_hba_has_map(const struct sg_hba *hba, const char *map);
/* If the text of the token begins with a slash, it becomes a pattern. False: it is none; a fault has been added. */
bool sg_hba_make_pattern(struct sg_hba *hba, const struct sg_hba_line *line, struct sg_hba_token *token,
                         struct sg_config_faults *faults);

#endif
