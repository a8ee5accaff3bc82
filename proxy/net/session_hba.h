/*
 * session_hba — auth_type = hba: which line of the file is the client's, and what that line asks for besides its
 * method.
 *
 *      sg_session_auth_start --> sg_session_hba_start --> go_on: match --YES--> check --> sg_session_auth_as
 *                                                        ^  |                    ^  \--> refused
 *                                                        |  +--NO--> refused     |
 *                                                        +-- ASK: host, networks |
 *                                                        +-- ASK: roles ---------+-- peer: the system's user
 */
#ifndef SEGUE_NET_SESSION_HBA_H
#define SEGUE_NET_SESSION_HBA_H

struct sg_login;
struct sg_session;

/* The login's auth has an hba. */
void sg_session_hba_start(struct sg_session *s);
/* Drops what is under way, and what has been found out. */
void sg_session_hba_end(struct sg_login *login);

#endif
