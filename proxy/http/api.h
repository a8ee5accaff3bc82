/* api — /api/NAME is what the console answers to SHOW NAME, as JSON. */
#ifndef SEGUE_HTTP_API_H
#define SEGUE_HTTP_API_H

struct sg_console;

struct sg_api_answer {
    unsigned status; /* of HTTP */
    char *body;      /* the caller frees it */
};

/* path: what stands behind "/api/": "clients", "migration/NAME". */
struct sg_api_answer sg_api_answer(struct sg_console *console, const char *path);

#endif
