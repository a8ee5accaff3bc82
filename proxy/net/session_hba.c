#include "session_hba.h"

#include "session_auth.h"

#include "proxy/auth/hba.h"
#include "proxy/auth/interfaces.h"
#include "proxy/auth/peer.h"
#include "proxy/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SUBJECT_BYTES 1024

struct sg_hba_step {
    struct sg_login *login;
    struct sg_hba_client client;
    struct sockaddr_storage address;
    struct sg_peer *asking; /* the host, or the user */
    char *host;
    char **roles;
    struct sg_hba_network *networks;
    const struct sg_hba_rule *rule; /* the line that fits; NULL: not known yet */
    char name[SUBJECT_BYTES];       /* as the certificate or the system has it; "": not known yet */
};

static void go_on(struct sg_hba_step *step);
static void check(struct sg_hba_step *step);

/* ---- Refusals ---- */

static void peer_text(const struct sg_hba_step *step, char *out, size_t size) {
    const struct sockaddr *address = step->client.address;
    snprintf(out, size, "[local]");
    if (address->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, out, (socklen_t)size);
    } else if (address->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, out, (socklen_t)size);
    }
}

/* Which line it was, for the operator. */
static void refuse(struct sg_hba_step *step, const struct sg_error *err, const char *why) {
    char text[512];
    const struct sg_hba_rule *rule = step->rule;
    if (rule) {
        snprintf(text, sizeof(text), "%s%s%s:%d \"%s\"", why ? why : "", why ? "; " : "", rule->file, rule->line,
                 rule->text);
    } else {
        snprintf(text, sizeof(text), "%s", why ? why : "no line of auth_hba_file fits");
    }
    sg_session_auth_refuse(step->login->session, err, text);
}

static void refuse_by_rule(struct sg_hba_step *step) {
    struct sg_error err = {0};
    char peer[INET6_ADDRSTRLEN];
    peer_text(step, peer, sizeof(peer));
    sg_hba_refusal(step->rule, &step->client, peer, &err);
    refuse(step, &err, NULL);
}

static void refuse_identity(struct sg_hba_step *step, const char *why) {
    struct sg_error err = {0};
    bool is_peer = step->rule->method == SG_AUTH_PEER;
    sg_error_set(&err, SG_SQLSTATE_INVALID_AUTHORIZATION, "%s authentication failed for user \"%s\"",
                 is_peer ? "Peer" : "certificate", step->login->user);
    refuse(step, &err, why);
}

static void refuse_trouble(struct sg_hba_step *step, const struct sg_error *why) {
    static struct sg_log_limit limit = SG_LOG_LIMIT(1);
    struct sg_error err = {0};
    sg_log_limited(&limit, SG_LOG_ERROR, "groups of a user: %s: %s", why->message, why->detail);
    sg_error_set(&err, SG_SQLSTATE_CANNOT_CONNECT_NOW, "segue cannot look up groups at the moment");
    refuse(step, &err, "the server could not be asked for the groups");
}

/* ---- What must be found out ---- */

static void on_host(void *arg, const char *name) {
    struct sg_hba_step *step = arg;
    step->asking = NULL;
    step->client.host = step->host = strdup(name);
    if (!step->host) {
        abort();
    }
    go_on(step);
}

static void on_roles(void *arg, struct sg_lookup_result *result) {
    struct sg_hba_step *step = arg;
    step->login->lookup = NULL;
    if (result->status != SG_LOOKUP_FOUND) {
        refuse_trouble(step, &result->error);
        return;
    }
    step->roles = result->roles;
    step->client.roles = (const char *const *)step->roles;
    result->roles = NULL;
    go_on(step);
}

static void ask_roles(struct sg_hba_step *step) {
    struct sg_login *login = step->login;
    struct sg_session *s = login->session;
    const char *database = s->is_console ? s->worker->config->control_database : login->database;
    login->lookup = sg_lookup_start(s->worker->shared->lookups, &s->worker->loop, login->auth, SG_LOOKUP_ROLES,
                                    login->user, database, on_roles, step);
}

static void on_user(void *arg, const char *name) {
    struct sg_hba_step *step = arg;
    step->asking = NULL;
    if (!name[0] || strlen(name) >= sizeof(step->name)) {
        refuse_identity(step, "the system does not know the user at the other end");
        return;
    }
    memcpy(step->name, name, strlen(name) + 1);
    check(step);
}

static void ask_user(struct sg_hba_step *step) {
    struct sg_session *s = step->login->session;
    uv_os_fd_t fd;
    uid_t uid;
    if (uv_fileno(&s->client.handle, &fd) != 0 || !sg_peer_uid(fd, &uid)) {
        refuse_identity(step, "the system does not say who is at the other end");
        return;
    }
    step->asking = sg_peer_user(&s->worker->loop, uid, on_user, step);
}

/* ---- The line that fits ---- */

static void let_pass(struct sg_hba_step *step) {
    struct sg_session *s = step->login->session;
    enum sg_auth_method method = step->rule->method;
    sg_session_hba_end(step->login);
    /* Whom the system or a certificate vouches for has nothing more to prove. */
    bool is_proved = method == SG_AUTH_PEER || method == SG_AUTH_CERT;
    sg_session_auth_as(s, is_proved ? SG_AUTH_TRUST : method);
}

static void check_name(struct sg_hba_step *step) {
    switch (sg_hba_map(step->login->auth->hba, step->rule, step->name, &step->client)) {
    case SG_HBA_YES:
        let_pass(step);
        return;
    case SG_HBA_ASK_ROLES:
        ask_roles(step);
        return;
    default:
        refuse_identity(step, step->rule->map ? "the map does not have the two names" : "the names differ");
    }
}

static void check_certificate(struct sg_hba_step *step) {
    const struct sg_tls *tls = step->login->session->tls.stream;
    struct sg_error err = {0};
    if (!tls || !sg_tls_peer_subject(tls, step->name, sizeof(step->name))) {
        sg_error_set(&err, SG_SQLSTATE_INVALID_AUTHORIZATION, "connection requires a valid client certificate");
        refuse(step, &err, NULL);
    } else if (step->rule->clientcert == SG_CLIENTCERT_VERIFY_CA) {
        let_pass(step);
    } else if (!step->rule->is_distinguished && !sg_tls_peer_name(tls, step->name, sizeof(step->name))) {
        refuse_identity(step, "the certificate has no common name");
    } else {
        check_name(step);
    }
}

static void check(struct sg_hba_step *step) {
    const struct sg_hba_rule *rule = step->rule;
    if (rule->method == SG_AUTH_REJECT) {
        refuse_by_rule(step);
    } else if (rule->method == SG_AUTH_PEER && !step->name[0]) {
        ask_user(step);
    } else if (rule->method == SG_AUTH_PEER) {
        check_name(step);
    } else if (rule->clientcert != SG_CLIENTCERT_OFF) {
        check_certificate(step);
    } else {
        let_pass(step);
    }
}

/* ---- Matching ---- */

static void go_on(struct sg_hba_step *step) {
    struct sg_login *login = step->login;
    if (step->rule) { /* it was for the map */
        check(step);
        return;
    }
    switch (sg_hba_match(login->auth->hba, &step->client, &step->rule)) {
    case SG_HBA_YES:
        check(step);
        return;
    case SG_HBA_NO:
        refuse_by_rule(step);
        return;
    case SG_HBA_ASK_HOST:
        step->asking = sg_peer_host(&login->session->worker->loop, step->client.address, on_host, step);
        return;
    case SG_HBA_ASK_ROLES:
        ask_roles(step);
        return;
    case SG_HBA_ASK_NETWORKS:
        step->client.networks_len = sg_interfaces(&step->networks);
        step->client.networks = step->networks;
        go_on(step);
        return;
    }
}

/* Where the client comes from; an IPv4 address in IPv6's clothes, as of a socket for both, is an IPv4 address. */
static void fill_address(struct sg_hba_step *step, const struct sg_session *s) {
    socklen_t len = sizeof(step->address);
    uv_os_fd_t fd;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&step->address;
    if (s->is_unix || uv_fileno(&s->client.handle, &fd) != 0 ||
        getpeername(fd, (struct sockaddr *)&step->address, &len) != 0) {
        step->address.ss_family = s->is_unix ? AF_UNIX : AF_UNSPEC; /* gone already: no line fits */
    } else if (v6->sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        memcpy(&v4.sin_addr, v6->sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
        memcpy(&step->address, &v4, sizeof(v4));
    }
}

void sg_session_hba_start(struct sg_session *s) {
    struct sg_login *login = s->login;
    struct sg_hba_step *step = calloc(1, sizeof(*step));
    if (!step) {
        abort();
    }
    login->hba = step;
    step->login = login;
    fill_address(step, s);
    step->client = (struct sg_hba_client){.user = sg_span_of(login->user),
                                          .database = sg_span_of(login->database),
                                          .is_replication = login->is_replication,
                                          .is_encrypted = s->tls.stream != NULL,
                                          .address = (struct sockaddr *)&step->address};
    sg_session_read_client(s, false); /* what it sends early stays in the kernel */
    go_on(step);
}

void sg_session_hba_end(struct sg_login *login) {
    struct sg_hba_step *step = login->hba;
    if (!step) {
        return;
    }
    login->hba = NULL;
    if (step->asking) {
        sg_peer_abandon(step->asking);
    }
    sg_lookup_roles_free(step->roles);
    free(step->networks);
    free(step->host);
    free(step);
}
