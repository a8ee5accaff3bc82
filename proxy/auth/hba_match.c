/* Which record fits a client: the first. What takes long to find out is asked for only when a record is reached that it
 * decides. */
#include "hba_records.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct sg_hba_name sg_hba_name(struct sg_span name) {
    struct sg_hba_name result = {0};
    size_t len = name.len < sizeof(result.text) ? name.len : sizeof(result.text) - 1;
    if (len > 0) {
        memcpy(result.text, name.ptr, len);
    }
    return result;
}

static bool is_keyword(const struct sg_hba_token *token, const char *keyword) {
    return !token->is_quoted && strcmp(token->text, keyword) == 0;
}

static enum sg_hba_answer answer(bool is_so) {
    return is_so ? SG_HBA_YES : SG_HBA_NO;
}

/* ---- Users and databases ---- */

/* A role is a member of itself; a superuser is not of every role. */
static enum sg_hba_answer is_member(const struct sg_hba_client *client, const char *role) {
    if (!client->roles) {
        return SG_HBA_ASK_ROLES;
    }
    for (const char *const *known = client->roles; *known; known++) {
        if (strcmp(*known, role) == 0) {
            return SG_HBA_YES;
        }
    }
    return SG_HBA_NO;
}

static enum sg_hba_answer is_user_token(const struct sg_hba_token *token, const char *user,
                                        const struct sg_hba_client *client) {
    if (!token->is_quoted && token->text[0] == '+') {
        return is_member(client, token->text + 1);
    }
    if (is_keyword(token, "all")) {
        return SG_HBA_YES;
    }
    return answer(token->pattern ? sg_hba_pattern_matches(token->pattern, user, NULL) : strcmp(token->text, user) == 0);
}

enum sg_hba_answer sg_hba_is_user(const struct sg_hba_field *field, const char *user,
                                  const struct sg_hba_client *client) {
    enum sg_hba_answer found = SG_HBA_NO;
    for (size_t i = 0; i < field->len && found == SG_HBA_NO; i++) {
        found = is_user_token(&field->tokens[i], user, client);
    }
    return found;
}

static enum sg_hba_answer is_database_token(const struct sg_hba_token *token, const char *database, const char *user,
                                            const struct sg_hba_client *client) {
    if (client->is_replication) { /* is on no database: not on all, not on one that a pattern fits */
        return answer(is_keyword(token, "replication"));
    }
    if (is_keyword(token, "all")) {
        return SG_HBA_YES;
    }
    if (is_keyword(token, "sameuser")) {
        return answer(strcmp(database, user) == 0);
    }
    if (is_keyword(token, "samerole") || is_keyword(token, "samegroup")) {
        return is_member(client, database);
    }
    if (is_keyword(token, "replication")) {
        return SG_HBA_NO;
    }
    return answer(token->pattern ? sg_hba_pattern_matches(token->pattern, database, NULL)
                                 : strcmp(token->text, database) == 0);
}

static enum sg_hba_answer is_database(const struct sg_hba_field *field, const char *database, const char *user,
                                      const struct sg_hba_client *client) {
    enum sg_hba_answer found = SG_HBA_NO;
    for (size_t i = 0; i < field->len && found == SG_HBA_NO; i++) {
        found = is_database_token(&field->tokens[i], database, user, client);
    }
    return found;
}

/* ---- Addresses ---- */

static const uint8_t *bytes_of(const struct sockaddr *address, size_t *ret_len) {
    if (address->sa_family == AF_INET) {
        *ret_len = 4;
        return (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
    }
    *ret_len = address->sa_family == AF_INET6 ? 16 : 0;
    return (const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr;
}

static bool is_in_range(const uint8_t *address, const uint8_t *base, const uint8_t *mask, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((address[i] ^ base[i]) & mask[i]) {
            return false;
        }
    }
    return len > 0;
}

/* whole: the networks of the interfaces, not only their addresses. */
static enum sg_hba_answer is_own(const struct sg_hba_client *client, bool whole) {
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    size_t len, mask_len;
    const uint8_t *address = bytes_of(client->address, &len);
    if (!client->networks) {
        return SG_HBA_ASK_NETWORKS;
    }
    for (size_t i = 0; i < client->networks_len; i++) {
        const struct sg_hba_network *network = &client->networks[i];
        if (network->address.ss_family != client->address->sa_family) {
            continue;
        }
        const uint8_t *base = bytes_of((const struct sockaddr *)&network->address, &len);
        const uint8_t *mask = bytes_of((const struct sockaddr *)&network->mask, &mask_len);
        if (is_in_range(address, base, whole && mask_len == len ? mask : ones, len)) {
            return SG_HBA_YES;
        }
    }
    return SG_HBA_NO;
}

/* Names are compared as DNS does; ".domain" fits every host in it. */
static bool is_host(const char *wanted, const char *host) {
    size_t wanted_len = strlen(wanted), len = strlen(host);
    if (wanted[0] != '.') {
        return strcasecmp(wanted, host) == 0;
    }
    return len >= wanted_len && strcasecmp(host + len - wanted_len, wanted) == 0;
}

static enum sg_hba_answer is_address(const struct sg_hba_record *record, const struct sg_hba_client *client) {
    size_t len;
    const uint8_t *bytes;
    switch (record->address) {
    case SG_HBA_ALL:
        return SG_HBA_YES;
    case SG_HBA_SAMEHOST:
    case SG_HBA_SAMENET:
        return is_own(client, record->address == SG_HBA_SAMENET);
    case SG_HBA_RANGE:
        bytes = bytes_of(client->address, &len);
        return answer(client->address->sa_family == record->family &&
                      is_in_range(bytes, record->bytes, record->mask, len));
    case SG_HBA_NAME:
        return client->host ? answer(is_host(record->name, client->host)) : SG_HBA_ASK_HOST;
    }
    return SG_HBA_NO;
}

static enum sg_hba_answer is_connection(const struct sg_hba_record *record, const struct sg_hba_client *client) {
    bool is_local = client->address->sa_family == AF_UNIX;
    if (is_local != (record->connection == SG_HBA_LOCAL)) {
        return SG_HBA_NO;
    }
    if (is_local) {
        return SG_HBA_YES;
    }
    if (record->connection != SG_HBA_HOST && client->is_encrypted != (record->connection == SG_HBA_HOSTSSL)) {
        return SG_HBA_NO;
    }
    return is_address(record, client);
}

/* ---- The whole ---- */

/* A no settles it; otherwise something may have to be asked first. */
static enum sg_hba_answer is_record(const struct sg_hba_record *record, const struct sg_hba_client *client,
                                    const char *database, const char *user) {
    const enum sg_hba_answer found[] = {is_connection(record, client),
                                        is_database(&record->databases, database, user, client),
                                        sg_hba_is_user(&record->users, user, client)};
    enum sg_hba_answer all = SG_HBA_YES;
    for (size_t i = 0; i < sizeof(found) / sizeof(*found); i++) {
        if (found[i] == SG_HBA_NO) {
            return SG_HBA_NO;
        }
        all = all == SG_HBA_YES ? found[i] : all;
    }
    return all;
}

enum sg_hba_answer sg_hba_match(const struct sg_hba *hba, const struct sg_hba_client *client,
                                const struct sg_hba_rule **ret_rule) {
    struct sg_hba_name user = sg_hba_name(client->user), database = sg_hba_name(client->database);
    for (size_t i = 0; i < hba->records_len; i++) {
        enum sg_hba_answer found = is_record(&hba->records[i], client, database.text, user.text);
        if (found == SG_HBA_YES) {
            *ret_rule = &hba->records[i].rule;
        }
        if (found != SG_HBA_NO) {
            return found;
        }
    }
    return SG_HBA_NO;
}

void sg_hba_refusal(const struct sg_hba_rule *rule, const struct sg_hba_client *client, const char *peer,
                    struct sg_error *err) {
    struct sg_hba_name user = sg_hba_name(client->user), database = sg_hba_name(client->database);
    const char *what = rule ? "pg_hba.conf rejects" : "no pg_hba.conf entry for";
    const char *encryption = client->is_encrypted ? "SSL encryption" : "no encryption";
    if (client->is_replication) {
        sg_error_set(err, SG_SQLSTATE_INVALID_AUTHORIZATION,
                     "%s replication connection %s host \"%s\", user \"%s\", %s", what, rule ? "for" : "from", peer,
                     user.text, encryption);
    } else {
        sg_error_set(err, SG_SQLSTATE_INVALID_AUTHORIZATION, "%s %shost \"%s\", user \"%s\", database \"%s\", %s", what,
                     rule ? "connection for " : "", peer, user.text, database.text, encryption);
    }
}
