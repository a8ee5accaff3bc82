/* page — what a browser sees at `/`: what this process is, and where the rest is. */
#ifndef SEGUE_HTTP_PAGE_H
#define SEGUE_HTTP_PAGE_H

#include "proxy/http/http.h"

#include <stdio.h>

void sg_page_write(const struct sg_http_config *config, FILE *out);

#endif
