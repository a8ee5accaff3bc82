/* metrics — everything there is to count, in Prometheus' text format. docs/metrics.md says what each family means. */
#ifndef SEGUE_HTTP_METRICS_H
#define SEGUE_HTTP_METRICS_H

#include "proxy/http/exposition.h"
#include "proxy/http/http.h"

/* Blocks until the workers have answered, and, if the control connection stands, the database. False: the process is
 * starting or ending. */
bool sg_metrics_write(const struct sg_http_config *config, FILE *out);

/* The parts (metrics_control.c has the second). */
struct sg_health;
struct sg_asking;
void sg_metrics_control(struct sg_exposition *to, struct sg_asking *asking, const struct sg_health *health);

#endif
