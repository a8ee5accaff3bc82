/*
 * registry — what the console sessions of a process share. Everything that may change is under one lock; nothing slow
 * is done while it is held.
 */
#ifndef SEGUE_ADMIN_REGISTRY_H
#define SEGUE_ADMIN_REGISTRY_H

#include "proxy/admin/console.h"
#include "proxy/admin/session.h"
#include "proxy/config/config.h"

#include <pthread.h>

struct sg_console {
    /* Fixed. */
    char *control_conninfo, *database, *control_user;
    void (*on_request)(void *arg, enum sg_console_request request);
    void *on_request_arg;
    struct sg_hub *hub;

    pthread_mutex_t lock;
    pthread_cond_t session_ended;
    struct sg_admin_session *sessions;
    size_t sessions_len;
    bool closing;
    struct sg_engine *engine;
    char trouble[1100];          /* why there is none; "" when that is not known */
    pthread_mutex_t survey_lock; /* taken before lock: held while the server is asked, so that it stays */
    struct sg_server *server;    /* changes under both */
    const struct sg_config *config;
};

#endif
