/*
 * segue rewrite: the engine of the proxy, offline. Schema and mappings come from the command line, statements from
 * files or stdin; what is not concerned comes out byte for byte.
 */
#include "proxy/admin/lexer.h"
#include "proxy/cli.h"
#include "segue/rewrite.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAPPINGS_MAX 64

struct job {
    struct sg_arena arena;
    struct sg_catalog *catalog; /* until it goes into the snapshot */
    const char *mapping_specs[MAPPINGS_MAX];
    struct sg_mapping mappings[MAPPINGS_MAX];
    size_t mappings_len;
    enum sg_phase phase;
    enum sg_star star;
    const char *search_path;
    bool json, refused;
    struct sg_snapshot *snapshot;
    struct sg_rewriter *rewriter;
};

static void print_help(void) {
    printf(
        "Usage: segue rewrite --schema DDL.sql --mapping 'public.users.nickname=username' [OPTION]... [FILE]...\n\n"
        "Rewrites the statements of FILEs, or of stdin, and prints them. A statement that is not concerned comes out\n"
        "byte for byte. One that cannot be rewritten is refused: FILE:LINE: refused: reason, on stderr.\n\n"
        "      --schema FILE       CREATE TABLE and ALTER TABLE statements; may be given more than once\n"
        "      --mapping M         [schema.]table.old=new, with SQL's quoting; may be given more than once\n"
        "      --phase PHASE       planned, dual_write (default), read_new or new_only\n"
        "      --star SHAPE        what * means: both (default), old or new\n"
        "      --search-path LIST  as SHOW search_path prints it; default \"$user\", public\n"
        "      --json              an object a statement: action (pass, rewrite, refuse), sql, reason\n"
        "  -h, --help              this text\n"
        "  -V, --version           version\n\n"
        "Exit status: 0 done, 1 a file cannot be read, 2 usage, schema or mapping, 3 a statement was refused.\n");
}

static bool complain(const struct sg_error *err, const char *what) {
    fprintf(stderr, "segue rewrite: %s: %s\n", what, err->message);
    if (err->detail[0])
        fprintf(stderr, "  detail: %s\n", err->detail);
    if (err->hint[0])
        fprintf(stderr, "  hint: %s\n", err->hint);
    return false;
}

/* "-" is stdin. False: errno says why. */
static bool read_file(struct sg_arena *arena, const char *path, struct sg_span *ret_text) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = NULL, block[65536];
    size_t len = 0;
    if (!file)
        return false;
    for (size_t n; (n = fread(block, 1, sizeof(block), file)) > 0; len += n) {
        char *grown = realloc(text, len + n);
        if (!grown)
            abort();
        text = grown;
        memcpy(text + len, block, n);
    }
    bool good = !ferror(file);
    if (file != stdin)
        fclose(file);
    if (good)
        *ret_text = (struct sg_span){sg_arena_strndup(arena, text ? text : "", len), len};
    free(text);
    return good;
}

/* ---- Schema and mappings ---- */

static bool add_schema(struct job *job, const char *path) {
    struct sg_span ddl;
    struct sg_error err;
    if (!read_file(&job->arena, path, &ddl)) {
        fprintf(stderr, "segue rewrite: --schema %s: %s\n", path, strerror(errno));
        return false;
    }
    return sg_catalog_add_ddl(job->catalog, ddl, &err) || complain(&err, path);
}

/* Reads [schema.]table.old=new into names[4]. */
static bool split_mapping(struct job *job, const char *spec, const char **names, size_t *ret_len) {
    struct sg_lexer lexer = {.source = sg_span_of(spec), .arena = &job->arena};
    struct sg_lexeme lexeme;
    struct sg_error err;
    size_t len = 0, equals_at = 0;
    for (;;) {
        if (!sg_lexer_next(&lexer, &lexeme, &err))
            return false;
        if ((lexeme.kind != SG_LEXEME_WORD && lexeme.kind != SG_LEXEME_QUOTED) || len == 4)
            return false;
        names[len++] = lexeme.text;
        if (!sg_lexer_next(&lexer, &lexeme, &err))
            return false;
        if (lexeme.kind == SG_LEXEME_END)
            break;
        bool equals = strcmp(lexeme.text, "=") == 0;
        if (lexeme.kind != SG_LEXEME_SYMBOL || equals_at || (!equals && strcmp(lexeme.text, ".") != 0))
            return false;
        if (equals)
            equals_at = len;
    }
    *ret_len = len;
    return len >= 3 && equals_at == len - 1;
}

static bool add_mapping(struct job *job, size_t i) {
    const char *names[4], *spec = job->mapping_specs[i];
    size_t len;
    if (!split_mapping(job, spec, names, &len)) {
        fprintf(stderr, "segue rewrite: --mapping: \"%s\" is not [schema.]table.old=new\n", spec);
        return false;
    }
    struct sg_mapping *mapping = &job->mappings[i];
    *mapping = (struct sg_mapping){.migration = spec,
                                   .schema = len == 4 ? names[0] : "public",
                                   .table = names[len - 3],
                                   .old_name = names[len - 2],
                                   .new_name = names[len - 1],
                                   .phase = job->phase};
    if (sg_catalog_describe(job->catalog, mapping))
        return true;
    fprintf(stderr, "segue rewrite: --mapping %s: the schema has no table %s.%s\n", spec, mapping->schema,
            mapping->table);
    return false;
}

/*
 * The columns that are there in this phase: the DDL says what the table was when the mapping was made, and the shape is
 * copied before the new column joins it.
 */
static bool make_snapshot(struct job *job) {
    struct sg_error err;
    for (size_t i = 0; i < job->mappings_len; i++)
        if (!add_mapping(job, i))
            return false;
    struct sg_catalog *catalog = job->catalog;
    job->catalog = NULL;
    job->snapshot = sg_snapshot_new(1, catalog, job->mappings, job->mappings_len, &err);
    return job->snapshot || complain(&err, "--mapping");
}

/* ---- Statements ---- */

static void print_json(const char *action, struct sg_span sql, const char *reason) {
    /* jansson refuses what is not UTF-8; such bytes are shown as Latin-1 rather than dropped. */
    json_t *text = json_stringn(sql.ptr, sql.len);
    if (!text) {
        char *utf8 = malloc(2 * sql.len + 1);
        size_t len = 0;
        if (!utf8)
            abort();
        for (size_t i = 0; i < sql.len; i++) {
            unsigned char c = (unsigned char)sql.ptr[i];
            if (c >= 0x80)
                utf8[len++] = (char)(0xc0 | c >> 6);
            utf8[len++] = (char)(c < 0x80 ? c : (0x80 | (c & 0x3f)));
        }
        text = json_stringn(utf8, len);
        free(utf8);
    }
    json_t *object = json_pack("{s:s, s:o, s:s?}", "action", action, "sql", text, "reason", reason);
    if (!object)
        abort();
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(object);
}

/* The line on which the statement's first word stands, or the one that the error points to. */
static size_t line_of(struct job *job, struct sg_span text, struct sg_span statement, int position) {
    struct sg_lexer lexer = {.source = statement, .arena = &job->arena};
    struct sg_lexeme first = {0};
    struct sg_error ignored;
    size_t at = sg_lexer_next(&lexer, &first, &ignored) ? first.at : 0, line = 1;
    if (position > 0)
        for (at = 0; at < statement.len && position > 1; position--)
            do
                at++;
            while (at < statement.len && ((unsigned char)statement.ptr[at] & 0xc0) == 0x80);
    for (const char *p = text.ptr; p < statement.ptr + at; p++)
        line += *p == '\n';
    return line;
}

static void do_statement(struct job *job, const char *path, struct sg_span text, struct sg_span statement) {
    struct sg_request request = {.sql = statement, .star = job->star, .search_path = job->search_path};
    const struct sg_plan *plan = sg_rewriter_plan(job->rewriter, job->snapshot, &request);
    enum sg_action action = plan ? plan->action : SG_PASS;
    if (action == SG_REFUSE) {
        job->refused = true;
        fprintf(stderr, "%s:%zu: refused: %s%s%s%s\n", path, line_of(job, text, statement, plan->error->position),
                plan->error->message, plan->error->detail[0] ? " (" : "", plan->error->detail,
                plan->error->detail[0] ? ")" : "");
    }
    struct sg_span out = action == SG_REWRITE ? plan->sql : statement;
    if (job->json)
        print_json(action == SG_PASS      ? "pass"
                   : action == SG_REWRITE ? "rewrite"
                                          : "refuse",
                   out, action == SG_REFUSE ? plan->error->message : NULL);
    else if (action != SG_REFUSE)
        fwrite(out.ptr, 1, out.len, stdout);
}

static bool do_file(struct job *job, const char *path) {
    struct sg_span text, statement;
    if (!read_file(&job->arena, path, &text)) {
        fprintf(stderr, "segue rewrite: %s: %s\n", path, strerror(errno));
        return false;
    }
    for (size_t cursor = 0; sg_split_next(text, &cursor, &statement);)
        do_statement(job, path, text, statement);
    return true;
}

/* ---- Options ---- */

static bool bad_value(const char *option, const char *value) {
    fprintf(stderr, "segue rewrite: %s: \"%s\" is not known\n", option, value);
    return false;
}

/* -1: go on; otherwise the exit status. */
static int read_options(int argc, char **argv, struct job *job) {
    enum { SCHEMA = 256, MAPPING, PHASE, STAR, SEARCH_PATH, JSON };
    static const struct option options[] = {{"schema", required_argument, NULL, SCHEMA},
                                            {"mapping", required_argument, NULL, MAPPING},
                                            {"phase", required_argument, NULL, PHASE},
                                            {"star", required_argument, NULL, STAR},
                                            {"search-path", required_argument, NULL, SEARCH_PATH},
                                            {"json", no_argument, NULL, JSON},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "hV", options, NULL)) != -1;) {
        bool good = true;
        switch (c) {
        case SCHEMA:
            good = add_schema(job, optarg);
            break;
        case MAPPING:
            good = job->mappings_len < MAPPINGS_MAX;
            if (good)
                job->mapping_specs[job->mappings_len++] = optarg;
            else
                fprintf(stderr, "segue rewrite: more than %d mappings\n", MAPPINGS_MAX);
            break;
        case PHASE:
            good = (sg_phase_from_name(optarg, &job->phase) && job->phase != SG_PHASE_RETIRED) ||
                   bad_value("--phase", optarg);
            break;
        case STAR:
            good = sg_star_from_name(optarg, &job->star) || bad_value("--star", optarg);
            break;
        case SEARCH_PATH:
            job->search_path = optarg;
            break;
        case JSON:
            job->json = true;
            break;
        case 'h':
            print_help();
            return SG_EXIT_OK;
        case 'V':
            return sg_cli_version();
        default:
            good = false;
        }
        if (!good)
            return sg_cli_usage_hint("rewrite");
    }
    if (job->mappings_len)
        return -1;
    fprintf(stderr, "segue rewrite: give at least one --mapping, and the --schema it is about\n");
    return sg_cli_usage_hint("rewrite");
}

int sg_cli_rewrite(int argc, char **argv) {
    struct job job = {.phase = SG_PHASE_DUAL_WRITE, .search_path = "\"$user\", public"};
    sg_arena_init(&job.arena, 65536);
    job.catalog = sg_catalog_new();
    int status = read_options(argc, argv, &job);
    if (status < 0)
        status = make_snapshot(&job) ? SG_EXIT_OK : SG_EXIT_USAGE;
    if (job.snapshot) {
        job.rewriter = sg_rewriter_new(1u << 20);
        if (optind == argc && !do_file(&job, "-"))
            status = SG_EXIT_FAILED;
        for (int i = optind; i < argc; i++)
            if (!do_file(&job, argv[i]))
                status = SG_EXIT_FAILED;
        if (status == SG_EXIT_OK && job.refused)
            status = SG_EXIT_REFUSED;
        sg_rewriter_free(job.rewriter);
        sg_snapshot_unref(job.snapshot);
    }
    if (job.catalog)
        sg_catalog_free(job.catalog);
    sg_arena_free(&job.arena);
    return status;
}
