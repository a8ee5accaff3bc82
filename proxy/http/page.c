#include "proxy/http/page.h"

#include "proxy/admin/command.h"
#include "proxy/http/health.h"

#include <ctype.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>segue</title>"
    "<style>body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:52em;padding:0 1em;color-scheme:light "
    "dark}"
    "td,th{text-align:left;padding:.15em 1.5em .15em 0;vertical-align:top}code{font-size:.95em}.no{color:#c00}</style>"
    "</head><body>\n";

static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
}

/* Those that take no argument; "SHOW STATS_TOTALS" is /api/stats_totals. */
static void put_commands(FILE *out) {
    fputs("<h2>What the console shows, as JSON</h2>\n<table>\n", out);
    for (size_t i = 0; i < sg_command_rows(); i++) {
        const char *syntax = sg_command_syntax(i);
        if (sg_command_role(i) != SG_ROLE_STATS || strncmp(syntax, "SHOW ", 5) != 0)
            continue;
        char name[64] = "";
        for (size_t k = 0; syntax[5 + k] && syntax[5 + k] != ' ' && k + 1 < sizeof(name); k++)
            name[k] = (char)tolower((unsigned char)syntax[5 + k]);
        bool is_bare = !strpbrk(syntax + 5, "abcdefghijklmnopqrstuvwxyz") || strchr(syntax, '[');
        if (is_bare)
            fprintf(out, "<tr><td><a href=\"/api/%s\"><code>/api/%s</code></a></td><td>", name, name);
        else
            fprintf(out, "<tr><td><code>/api/%s/NAME</code></td><td>", name);
        put_escaped(out, sg_command_doc(i));
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

void sg_page_write(const struct sg_http_config *config, FILE *out) {
    struct sg_health health;
    sg_health_look(config, NULL, &health);
    fputs(head, out);
    fputs("<h1>segue " SEGUE_VERSION
          "</h1>\n<p>An SQL-aware PostgreSQL proxy. This side only shows; migrations are run from "
          "its console: <code>psql -p PORT segue</code>.</p>\n<table>\n",
          out);
    for (int i = 0; i < SG_CHECKS; i++)
        fprintf(out, "<tr><td>%s</td><td%s>%s</td></tr>\n", sg_check_name((enum sg_check)i),
                health.checks[i] ? "" : " class=\"no\"", health.checks[i] ? "well" : "not well");
    fputs("</table>\n<p><a href=\"/metrics\"><code>/metrics</code></a> for Prometheus, "
          "<a href=\"/healthz\"><code>/healthz</code></a> and <a href=\"/readyz\"><code>/readyz</code></a> for whoever "
          "starts processes and sends them clients.</p>\n",
          out);
    put_commands(out);
    fputs("</body></html>\n", out);
}
