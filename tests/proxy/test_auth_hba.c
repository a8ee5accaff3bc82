/*
 * hba and ident files: the cases of the documents in hba/.
 *
 * A file is named in backticks at the left edge and follows, indented; hba.conf and ident.conf are those the
 * configuration names. Each line with a dash then says what a client meets, or what is wrong with the files:
 *
 *      - unix user=u db=d                                          -> reject 3
 *      - 10.0.0.1 ssl user=u db=d replication roles=a,b host=h.tld -> trust 4      (method, line)
 *      - unix user=u db=d name=os                                  -> peer 1 yes   (may os be u?)
 *      - 10.0.0.1 user=u db=d                                      -> no | ask host | ask roles | ask networks
 *      - fault hba.conf:2: what is wrong
 */
#include "proxy/auth/hba.h"
#include "text_file.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/un.h>

#define FILES_MAX  16
#define FAULTS_MAX 40

struct world {
    struct sg_arena arena;
    struct {
        const char *name, *text;
    } files[FILES_MAX];
    size_t files_len;
    const char *faults[FAULTS_MAX];
    size_t faults_len;
    const char *case_name;
    size_t checks;
    struct sg_hba *hba;
    bool is_read;
};

/* ---- The files ---- */

static enum sg_hba_found read_file(void *arg, const char *path, struct sg_arena *arena, struct sg_span *ret_text,
                                   char *why, size_t why_size) {
    struct world *world = arg;
    for (size_t i = 0; i < world->files_len; i++) {
        if (strcmp(world->files[i].name, path) == 0) {
            *ret_text = sg_span_of(world->files[i].text);
            return SG_HBA_FILE_FOUND;
        }
    }
    snprintf(why, why_size, "No such file or directory");
    return SG_HBA_FILE_MISSING;
}

static enum sg_hba_found list_files(void *arg, const char *path, struct sg_arena *arena, const char *const **ret_paths,
                                    size_t *ret_len, char *why, size_t why_size) {
    struct world *world = arg;
    const char **paths = sg_arena_array(arena, const char *, FILES_MAX);
    size_t len = 0;
    for (size_t i = 0; i < world->files_len; i++) {
        const char *name = world->files[i].name;
        if (strncmp(name, path, strlen(path)) == 0 && name[strlen(path)] == '/') {
            paths[len++] = name;
        }
    }
    snprintf(why, why_size, "No such file or directory");
    *ret_paths = paths;
    *ret_len = len;
    return len > 0 ? SG_HBA_FILE_FOUND : SG_HBA_FILE_MISSING;
}

static bool has_file(const struct world *world, const char *name) {
    for (size_t i = 0; i < world->files_len; i++) {
        if (strcmp(world->files[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* All the faults, in order, or none. */
static void read_hba(struct world *world) {
    if (world->is_read || world->files_len == 0) {
        return;
    }
    struct sg_hba_files files = {read_file, list_files, world};
    struct sg_config_faults faults = {0};
    world->is_read = true;
    world->hba = sg_hba_read("hba.conf", has_file(world, "ident.conf") ? "ident.conf" : "", &files, &faults);
    cr_assert_eq(world->hba == NULL, faults.len > 0, "%s", world->case_name);
    sg_config_faults_sort(&faults, 0);
    for (size_t i = 0; i < faults.len || i < world->faults_len; i++) {
        const struct sg_config_fault *f = i < faults.len ? &faults.list[i] : NULL;
        const char *got = !f        ? "(nothing)"
                          : f->line ? sg_arena_printf(&world->arena, "%s:%d: %s", f->file, f->line, f->message)
                                    : sg_arena_printf(&world->arena, "%s: %s", f->file, f->message);
        cr_expect_str_eq(got, i < world->faults_len ? world->faults[i] : "(nothing)", "%s: got %s", world->case_name,
                         got);
        world->checks++;
    }
    sg_config_faults_free(&faults);
}

static void end_case(struct world *world) {
    read_hba(world);
    sg_hba_unref(world->hba);
    world->hba = NULL;
    world->is_read = false;
    world->files_len = world->faults_len = 0;
}

/* ---- The clients ---- */

static struct sockaddr_storage address_of(const char *text) {
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr) == 1) {
        address.ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&address)->sin6_addr) == 1) {
        address.ss_family = AF_INET6;
    }
    return address;
}

struct query {
    struct sg_hba_client client;
    struct sockaddr_storage address;
    struct sg_hba_network networks[2];
    const char *roles[8];
    const char *name;
};

static const char *value_of(const char *word, const char *key) {
    size_t len = strlen(key);
    return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void read_word(struct query *q, char *word) {
    const char *value;
    if (strcmp(word, "ssl") == 0) {
        q->client.is_encrypted = true;
    } else if (strcmp(word, "replication") == 0) {
        q->client.is_replication = true;
    } else if ((value = value_of(word, "user"))) {
        q->client.user = sg_span_of(value);
    } else if ((value = value_of(word, "db"))) {
        q->client.database = sg_span_of(value);
    } else if ((value = value_of(word, "host"))) {
        q->client.host = value;
    } else if ((value = value_of(word, "name"))) {
        q->name = value;
    } else if (value_of(word, "net")) {
        char *slash = strchr(word, '/');
        *slash = '\0';
        q->networks[0] = (struct sg_hba_network){address_of(word + 4), address_of(slash + 1)};
        q->client.networks = q->networks;
        q->client.networks_len = 1;
    } else if (value_of(word, "roles")) {
        size_t len = 0;
        char *save = NULL;
        for (char *role = strtok_r(word + 6, ",", &save); role; role = strtok_r(NULL, ",", &save)) {
            q->roles[len++] = role;
        }
        q->client.roles = q->roles;
    } else {
        q->address = address_of(word);
        cr_assert(q->address.ss_family != AF_UNIX || strcmp(word, "unix") == 0, "%s", word);
    }
}

static const char *const answers[] = {[SG_HBA_YES] = "yes",
                                      [SG_HBA_NO] = "no",
                                      [SG_HBA_ASK_HOST] = "ask host",
                                      [SG_HBA_ASK_ROLES] = "ask roles",
                                      [SG_HBA_ASK_NETWORKS] = "ask networks"};

static void check_client(struct world *world, char *words, const char *wanted) {
    struct query q = {.name = NULL};
    const char *line = sg_arena_strdup(&world->arena, words), *got;
    char *save = NULL;
    for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        read_word(&q, word);
    }
    q.client.address = (struct sockaddr *)&q.address;
    cr_assert(world->hba, "%s: the files have faults", world->case_name);
    const struct sg_hba_rule *rule = NULL;
    enum sg_hba_answer answer = sg_hba_match(world->hba, &q.client, &rule);
    cr_assert_eq(answer == SG_HBA_YES, rule != NULL);
    got =
        rule ? sg_arena_printf(&world->arena, "%s %d", sg_auth_method_name(rule->method), rule->line) : answers[answer];
    if (rule && q.name) {
        got = sg_arena_printf(&world->arena, "%s %s", got, answers[sg_hba_map(world->hba, rule, q.name, &q.client)]);
    }
    cr_expect_str_eq(got, wanted, "%s: %s: got %s", world->case_name, line, got);
    world->checks++;
}

/* ---- The documents ---- */

static void read_claim(struct world *world, char *line) {
    char *arrow = strstr(line, " -> ");
    if (strncmp(line, "- fault ", 8) == 0) {
        cr_assert_lt(world->faults_len, (size_t)FAULTS_MAX);
        world->faults[world->faults_len++] = line + 8;
        return;
    }
    read_hba(world);
    cr_assert(arrow, "%s: no arrow in \"%s\"", world->case_name, line);
    *arrow = '\0';
    check_client(world, line + 2, arrow + 4);
}

/* Empty lines between two indented ones belong to the file. */
static void append(struct world *world, const char *line, int *empty) {
    const char **text = &world->files[world->files_len - 1].text;
    for (; *empty > 0 && **text; --*empty) {
        *text = sg_arena_printf(&world->arena, "%s\n", *text);
    }
    *text = sg_arena_printf(&world->arena, "%s%s\n", *text, line);
}

static void run_document(struct world *world, char *text) {
    int empty = 0;
    for (char *line; (line = strsep(&text, "\n")); empty = *line ? 0 : empty + 1) {
        if (strncmp(line, "# ", 2) == 0) {
            end_case(world);
            world->case_name = line + 2;
        } else if (line[0] == '`') {
            cr_assert_lt(world->files_len, (size_t)FILES_MAX);
            line[strcspn(line + 1, "`") + 1] = '\0';
            world->files[world->files_len].name = line + 1;
            world->files[world->files_len++].text = "";
        } else if (strncmp(line, "    ", 4) == 0) {
            append(world, line + 4, &empty);
        } else if (strncmp(line, "- ", 2) == 0) {
            read_claim(world, line);
        }
    }
    end_case(world);
}

Test(auth_hba, documents) {
    struct world world = {.case_name = "?"};
    glob_t found;
    sg_arena_init(&world.arena, 65536);
    const char *pattern = text_file_path(&world.arena, "tests/proxy/hba/*.md");
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = strrchr(found.gl_pathv[i], '/') + 1;
        const char *text = text_file_read(&world.arena, sg_arena_printf(&world.arena, "tests/proxy/hba/%s", name));
        run_document(&world, sg_arena_strdup(&world.arena, text));
    }
    cr_expect_gt(world.checks, 100u, "%zu checks", world.checks);
    globfree(&found);
    sg_arena_free(&world.arena);
}

static struct sg_hba *read_text(struct world *world, const char *text, struct sg_config_faults *faults) {
    struct sg_hba_files files = {read_file, list_files, world};
    world->files[0].name = "hba.conf";
    world->files[0].text = text;
    world->files_len = 1;
    return sg_hba_read("hba.conf", NULL, &files, faults);
}

Test(auth_hba, a_name_counts_as_far_as_the_server_looks_at_it) {
    struct world world = {.case_name = "long"};
    struct sg_config_faults faults = {0};
    char name[100], text[200];
    memset(name, 'x', sizeof(name));
    snprintf(text, sizeof(text), "local all %.63s reject\nlocal all all trust\n", name);
    struct sg_hba *hba = read_text(&world, text, &faults);
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sg_hba_client client = {.user = {name, 90}, .database = {"d", 1}, .address = (struct sockaddr *)&address};
    const struct sg_hba_rule *rule = NULL;
    cr_assert(hba);
    cr_expect_eq(sg_hba_match(hba, &client, &rule), SG_HBA_YES);
    cr_expect_eq(rule->method, SG_AUTH_REJECT, "the server would log the first 63 bytes in");
    client.user.len = 62;
    cr_expect_eq(sg_hba_match(hba, &client, &rule), SG_HBA_YES);
    cr_expect_eq(rule->method, SG_AUTH_TRUST);
    sg_hba_unref(hba);
}

Test(auth_hba, a_file_that_takes_itself_in_ends) {
    struct world world = {.case_name = "loop"};
    struct sg_config_faults faults = {0};
    cr_expect_null(read_text(&world, "include hba.conf\ninclude hba.conf\n", &faults));
    cr_expect_gt(faults.len, 0u);
    sg_config_faults_free(&faults);
    cr_expect_null(read_text(&world, "local @hba.conf,@hba.conf,@hba.conf,@hba.conf all trust\n", &faults));
    cr_expect_gt(faults.len, 0u);
    sg_config_faults_free(&faults);
}

Test(auth_hba, refusals_are_the_servers) {
    struct sg_error err;
    struct sockaddr_storage address = {.ss_family = AF_INET};
    struct sg_hba_client client = {
        .user = SG_SPAN_LIT("u"), .database = SG_SPAN_LIT("d"), .address = (struct sockaddr *)&address};
    struct sg_hba_rule rule = {.method = SG_AUTH_REJECT};
    sg_hba_refusal(NULL, &client, "1.2.3.4", &err);
    cr_expect_str_eq(err.sqlstate, "28000");
    cr_expect_str_eq(err.message,
                     "no pg_hba.conf entry for host \"1.2.3.4\", user \"u\", database \"d\", no encryption");
    sg_hba_refusal(&rule, &client, "1.2.3.4", &err);
    cr_expect_str_eq(err.message,
                     "pg_hba.conf rejects connection for host \"1.2.3.4\", user \"u\", database \"d\", no encryption");
    client.is_replication = client.is_encrypted = true;
    sg_hba_refusal(NULL, &client, "[local]", &err);
    cr_expect_str_eq(err.message, "no pg_hba.conf entry for replication connection from host \"[local]\", user \"u\", "
                                  "SSL encryption");
    sg_hba_refusal(&rule, &client, "[local]", &err);
    cr_expect_str_eq(err.message,
                     "pg_hba.conf rejects replication connection for host \"[local]\", user \"u\", SSL encryption");
}
