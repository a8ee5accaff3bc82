/*
 * session_auth — segue authenticates the client itself, and logs in to the server in its place (proxy/auth has the two
 * exchanges). Between the start-up packet and AuthenticationOk; nothing of it is left afterwards.
 *
 *      on_startup_message --sg_session_auth_start--> (hba) --sg_session_auth_as--> PASSTHROUGH: dial, and that is all
 *                                                             |
 *              +-------- lookup (auth_query) <--no secret-----+--TRUST, CERT--> passed
 *              v                                              v
 *          begin_exchange --------------------------> state AUTH <--messages of the client, a derivation--> passed
 *
 *      passed --> the console, or sg_session_dial --> sg_session_auth_relay: the client waits, and the server's
 *      Authentication messages go through sg_session_auth_answer until AuthenticationOk, which is the client's too
 */
#ifndef SEGUE_NET_SESSION_AUTH_H
#define SEGUE_NET_SESSION_AUTH_H

#include "session.h"

#include "proxy/auth/auth.h"
#include "proxy/auth/exchange.h"
#include "proxy/auth/lookup.h"
#include "proxy/auth/server_login.h"

struct sg_derivation;
struct sg_hba_step;

struct sg_login {
    struct sg_session *session;
    const struct sg_auth *auth; /* a reference: a reload in between changes nothing */
    char *user, *database;      /* as the client named them */
    bool is_replication;        /* physical: on no database */
    enum sg_auth_method method;
    const char *why;     /* there is no secret, for the log; NULL: nothing is known of that */
    bool is_exchanging;  /* exchange is in use */
    struct sg_buf first; /* for the server */
    struct sg_exchange exchange;
    struct sg_credential credential; /* for the server */
    struct sg_server_login server;
    struct sg_hba_step *hba;          /* session_hba.h */
    struct sg_lookup *lookup;         /* under way */
    struct sg_derivation *derivation; /* likewise */
    struct sg_error error;            /* why the server cannot be logged in to */
};

/* The start-up packet has been accepted: makes the login, with the names in it, unless the server alone authenticates.
 */
void sg_session_auth_open(struct sg_session *s, const struct sg_startup *startup);
/* And on. first: the packet for the server, taken over. */
void sg_session_auth_start(struct sg_session *s, struct sg_buf first);
/* The method is known. */
void sg_session_auth_as(struct sg_session *s, enum sg_auth_method method);
/* FATAL; why is for the log. */
void sg_session_auth_refuse(struct sg_session *s, const struct sg_error *err, const char *why);

/* State AUTH: bytes of the client. They are overwritten. */
void sg_session_auth_take(struct sg_session *s, const uint8_t *bytes, size_t len);

/* Held by a PAUSE after the client has passed; RESUME. */
void sg_session_auth_go_on(struct sg_session *s);

/* The server has been sent its start-up packet. False: there is no login, the client does the rest. */
bool sg_session_auth_relay(struct sg_session *s);
/* With a login: an Authentication message of the server. STOP: it has failed. */
enum sg_verdict sg_session_auth_answer(struct sg_session *s, const struct sg_message *m);
void sg_session_auth_failed(struct sg_session *s);
/* With a login: the server's error is for the client as it is; the operator learns what it was about. */
void sg_session_auth_note_error(struct sg_session *s, const struct sg_message *m);

/* Drops the login, if there is one, and what is under way for it. */
void sg_session_auth_end(struct sg_session *s);

#endif
