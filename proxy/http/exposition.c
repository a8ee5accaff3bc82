#include "proxy/http/exposition.h"

#include "proxy/utf8.h"

#include <math.h>
#include <stdlib.h>

void sg_expose(struct sg_exposition *to, const char *name, enum sg_metric_type type, const char *help) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    to->family = name;
    fprintf(to->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, types[type]);
}

static void put_escaped(struct sg_exposition *to, const char *value) {
    for (const char *p = sg_utf8_clean(to->arena, value); *p; p++) {
        if (*p == '\n')
            fputs("\\n", to->out);
        else if (*p == '"' || *p == '\\')
            fprintf(to->out, "\\%c", *p);
        else
            fputc(*p, to->out);
    }
}

static void put_labels(struct sg_exposition *to, const char *const *labels, const char *bound) {
    const char *before = "{";
    for (; labels && *labels; labels += 2, before = ",") {
        fprintf(to->out, "%s%s=\"", before, labels[0]);
        put_escaped(to, labels[1]);
        fputc('"', to->out);
    }
    if (bound) {
        fprintf(to->out, "%sle=\"%s\"", before, bound);
        before = ",";
    }
    if (*before == ',')
        fputc('}', to->out);
}

/* The shortest that reads as this very value; counts below 2^53 as whole numbers. */
static void put_value(struct sg_exposition *to, double value) {
    char text[40];
    if (value == floor(value) && fabs(value) < 9007199254740992.0)
        snprintf(text, sizeof(text), "%.0f", value);
    else if (snprintf(text, sizeof(text), "%.15g", value), strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    fprintf(to->out, " %s\n", text);
}

void sg_expose_sample(struct sg_exposition *to, const char *const *labels, double value) {
    fputs(to->family, to->out);
    put_labels(to, labels, NULL);
    put_value(to, value);
}

void sg_expose_histogram(struct sg_exposition *to, const char *const *labels, const struct sg_histogram_sums *sums,
                         double unit_s) {
    uint64_t count = 0;
    for (size_t i = 0; i < SG_HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf"; /* the last one has no end */
        if (i + 1 < SG_HISTOGRAM_BUCKETS)
            snprintf(bound, sizeof(bound), "%.9g", (double)((uint64_t)1 << i) * unit_s);
        count += sums->counts[i];
        fprintf(to->out, "%s_bucket", to->family);
        put_labels(to, labels, bound);
        put_value(to, (double)count);
    }
    fprintf(to->out, "%s_sum", to->family);
    put_labels(to, labels, NULL);
    put_value(to, (double)sums->sum * unit_s);
    fprintf(to->out, "%s_count", to->family);
    put_labels(to, labels, NULL);
    put_value(to, (double)count);
}

void sg_expose_one(struct sg_exposition *to, const char *name, enum sg_metric_type type, const char *help,
                   double value) {
    sg_expose(to, name, type, help);
    sg_expose_sample(to, NULL, value);
}
