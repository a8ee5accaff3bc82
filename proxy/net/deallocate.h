/*
 * deallocate — statements that end prepared statements by name: DEALLOCATE [PREPARE] name, DEALLOCATE ALL, DISCARD ALL.
 *
 * Drivers that close statements by SQL (PDO, psycopg) would otherwise leave what is remembered of each behind. Only a
 * text that is this one statement and nothing else is known; pure.
 */
#ifndef SEGUE_NET_DEALLOCATE_H
#define SEGUE_NET_DEALLOCATE_H

#include "segue/limits.h"
#include "segue/span.h"

enum sg_deallocation { SG_DEALLOCATE_NONE, SG_DEALLOCATE_ONE, SG_DEALLOCATE_ALL };

/* ONE: name as the server stores it, NUL-terminated and cut to 63 bytes. */
enum sg_deallocation sg_deallocation_of(struct sg_span sql, char ret_name[SG_NAME_BYTES]);

#endif
