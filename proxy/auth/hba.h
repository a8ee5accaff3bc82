/*
 * hba — who may log in, from where, and how: a file in the format of PostgreSQL's pg_hba.conf (docs, 21.1), with the
 * user name maps of pg_ident.conf (21.2).
 *
 *      sg_hba_read: files --sg_hba_lines_read--> lines --> records, maps       (or every fault, with file and line)
 *      sg_hba_match: a client --> the first record that fits it: a method
 *                             \-> something must be found out first: do, and match again
 *      sg_hba_map: the name that a certificate or the system vouches for --> may it log in as this user?
 *
 * Pure but for the reading of files, which is the caller's. An hba never changes after it has been read, and is shared
 * by threads, counted.
 */
#ifndef SEGUE_AUTH_HBA_H
#define SEGUE_AUTH_HBA_H

#include "hba_tokens.h"
#include "method.h"
#include "segue/error.h"
#include "segue/span.h"

#include <stdbool.h>
#include <sys/socket.h>

struct sg_hba;

/* What the client's certificate must be good for, besides the method. */
enum sg_hba_clientcert { SG_CLIENTCERT_OFF, SG_CLIENTCERT_VERIFY_CA, SG_CLIENTCERT_VERIFY_FULL };

/* One line of the file. Lives as long as its hba. */
struct sg_hba_rule {
    const char *file;
    int line;
    const char *text; /* as written */
    enum sg_auth_method method;
    enum sg_hba_clientcert clientcert; /* method cert implies VERIFY_FULL */
    bool is_distinguished;             /* clientname=DN: the whole subject is the name, not its CN */
    const char *map;                   /* NULL: the two names must be the same */
};

/* NULL: there are faults, all of them told. ident_path NULL or "": no maps. */
struct sg_hba *sg_hba_read(const char *path, const char *ident_path, const struct sg_hba_files *files,
                           struct sg_config_faults *faults);
/* Any thread. NULL stays NULL. */
struct sg_hba *sg_hba_ref(struct sg_hba *hba);
void sg_hba_unref(struct sg_hba *hba);

/* Where something stands first. line 0: nowhere. */
struct sg_hba_place {
    const char *file;
    int line;
};

/* What some files ask for, so that who cannot serve it can say so when they are read. */
struct sg_hba_needs {
    struct sg_hba_place secret;      /* a method that asks for one */
    struct sg_hba_place certificate; /* of the client */
    struct sg_hba_place passthrough; /* that method */
    struct sg_hba_place roles;       /* membership: +role, samerole */
};
const struct sg_hba_needs *sg_hba_needs(const struct sg_hba *hba);

/* Of the interfaces of this machine. */
struct sg_hba_network {
    struct sockaddr_storage address, mask;
};

struct sg_hba_client {
    struct sg_span user, database; /* as the client gave them: PostgreSQL looks at the first 63 bytes */
    bool is_replication;           /* physical: it has no database */
    bool is_encrypted;
    const struct sockaddr *address; /* AF_UNIX: a local connection */
    /* What may have to be found out. NULL: not yet. */
    const char *host;         /* the name that the address has and that has the address; "": none */
    const char *const *roles; /* that the user is a member of, itself included; ends with NULL */
    const struct sg_hba_network *networks;
    size_t networks_len;
};

enum sg_hba_answer {
    SG_HBA_YES,
    SG_HBA_NO,           /* no record fits: refuse */
    SG_HBA_ASK_HOST,     /* client.host decides */
    SG_HBA_ASK_ROLES,    /* client.roles decides */
    SG_HBA_ASK_NETWORKS, /* client.networks decides */
};

/* ret_rule: with YES. A rule with method reject is a YES. */
enum sg_hba_answer sg_hba_match(const struct sg_hba *hba, const struct sg_hba_client *client,
                                const struct sg_hba_rule **ret_rule);

/* May who is name, as a certificate or the operating system says, be the client's user? */
enum sg_hba_answer sg_hba_map(const struct sg_hba *hba, const struct sg_hba_rule *rule, const char *name,
                              const struct sg_hba_client *client);

/* What a client that is refused is told, in PostgreSQL's words. rule NULL: none fitted. peer: its address as text. */
void sg_hba_refusal(const struct sg_hba_rule *rule, const struct sg_hba_client *client, const char *peer,
                    struct sg_error *err);

#endif
