/*
 * The config file: sections, lines and faults. inih splits lines; what it leaves out is done in the reader below: line
 * numbers, every malformed line instead of the first, and section headings without a key.
 */
#include "proxy/config/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX_BYTES (1u << 20)
#define LINE_MAX_BYTES 16384

enum section { NO_SECTION, MAIN, DATABASES, CLIENTS, USERS, UNKNOWN_SECTION };

struct loader {
    struct sg_config *config;
    struct sg_config_faults *faults;
    const char *file;    /* the caller's */
    const char *name;    /* of the file; NULL: the command line */
    int *key_lines;      /* where each key was set; 0: not */
    struct sg_span left; /* of the text */
    int line;
    bool line_owed; /* this line must reach the handler, or it is malformed */
    enum section section;
    bool database_seen;   /* good or bad */
    const char *database; /* whose entry is being read */
    struct sg_config_database *databases;
    struct sg_config_client *clients;
    struct sg_config_user *users;
    const char *user; /* whose entry is being read */
};

static void fault(struct loader *loader, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static void fault(struct loader *loader, int line, const char *fmt, ...) {
    char message[sizeof(loader->faults->list->message)];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    sg_config_faults_add(loader->faults, loader->name, line, "%s", message);
}

/* ---- [segue] ---- */

static void set_key(struct loader *loader, const char *name, const char *value) {
    int i = sg_config_key_find(name);
    char why[300];
    if (i < 0) {
        int near = sg_config_key_nearest(name);
        fault(loader, loader->line, near >= 0 ? "unknown key \"%s\"; did you mean \"%s\"?" : "unknown key \"%s\"", name,
              near >= 0 ? sg_config_key_name((size_t)near) : "");
        return;
    }
    if (loader->name && loader->key_lines[i])
        fault(loader, loader->line, "%s is set a second time; the first is on line %d", name, loader->key_lines[i]);
    else if (!sg_config_store(loader->config, (size_t)i, value, why, sizeof(why)))
        fault(loader, loader->line, "%s: %s", name, why);
    if (loader->name)
        loader->key_lines[i] = loader->line;
}

/* ---- [databases] ---- */

static void tell_fault(void *arg, const char *message) {
    struct loader *loader = arg;
    fault(loader, loader->line, "%s: %s", loader->database, message);
}

static void read_database(struct loader *loader, struct sg_config_database *entry, const char *name,
                          const char *conninfo) {
    struct sg_config_database read = {.name = sg_arena_strdup(&loader->config->arena, name), .line = loader->line};
    loader->database = read.name;
    if (sg_config_database_read(&read, &loader->config->arena, conninfo, !loader->name, tell_fault, loader))
        *entry = read;
}

static void set_database(struct loader *loader, const char *name, const char *conninfo) {
    struct sg_config *config = loader->config;
    char bare[2 * SG_NAME_BYTES];
    size_t len = strlen(name);
    loader->database_seen = true;
    if (len >= 2 && name[0] == '"' && name[len - 1] == '"')
        snprintf(bare, sizeof(bare), "%.*s", (int)len - 2, name + 1);
    else
        snprintf(bare, sizeof(bare), "%s", name);
    for (size_t i = 0; i < config->databases_len; i++) {
        struct sg_config_database *have = &loader->databases[i];
        if (strcmp(have->name, bare) != 0)
            continue;
        if (loader->name)
            fault(loader, loader->line, "database \"%s\" is given a second time; the first is on line %d", bare,
                  have->line);
        else
            read_database(loader, have, bare, conninfo);
        return;
    }
    if (strcmp(bare, "segue") == 0) {
        fault(loader, loader->line, "database \"segue\" is the console's own name");
        return;
    }
    struct sg_config_database *entry = &loader->databases[config->databases_len];
    read_database(loader, entry, bare, conninfo);
    config->databases_len += entry->name != NULL;
}

/* ---- [clients]: user NAME = star, application_name NAME = star, database NAME = star ---- */

static void set_client(struct loader *loader, const char *name, const char *value) {
    static const char *const keys[] = {[SG_CLIENT_USER] = "user",
                                       [SG_CLIENT_APPLICATION_NAME] = "application_name",
                                       [SG_CLIENT_DATABASE] = "database"};
    struct sg_config *config = loader->config;
    size_t word = strcspn(name, " \t");
    const char *who = name + word + strspn(name + word, " \t");
    enum sg_star star;
    if (!sg_star_from_name(value, &star)) {
        fault(loader, loader->line, "%s: \"%s\" is not one of both, old, new", name, value);
        return;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && *who; i++) {
        if (strlen(keys[i]) != word || strncmp(keys[i], name, word) != 0)
            continue;
        loader->clients[config->clients_len++] =
            (struct sg_config_client){(enum sg_client_key)i, sg_arena_strdup(&config->arena, who), star};
        return;
    }
    fault(loader, loader->line, "\"%s\" is not \"user NAME\", \"application_name NAME\" or \"database NAME\"", name);
}

/* ---- [users] ---- */

static void tell_of_user(void *arg, const char *message) {
    struct loader *loader = arg;
    fault(loader, loader->line, "%s: %s", loader->user, message);
}

static void set_user(struct loader *loader, const char *name, const char *value) {
    struct sg_config *config = loader->config;
    size_t len = strlen(name);
    bool is_quoted = len >= 2 && name[0] == '"' && name[len - 1] == '"';
    struct sg_config_user user = {.line = loader->line};
    user.name = sg_arena_strndup(&config->arena, name + is_quoted, len - 2 * (size_t)is_quoted);
    loader->user = user.name;
    for (size_t i = 0; i < config->users_len; i++) {
        if (strcmp(loader->users[i].name, user.name) == 0) {
            fault(loader, loader->line, "user \"%s\" is given a second time; the first is on line %d", user.name,
                  loader->users[i].line);
            return;
        }
    }
    if (sg_config_user_read(&user, &config->arena, value, tell_of_user, loader))
        loader->users[config->users_len++] = user;
}

/* ---- Lines ---- */

static enum section section_of(struct sg_span name) {
    static const struct {
        const char *name;
        enum section section;
    } known[] = {
        {"segue", MAIN}, {"pgbouncer", MAIN}, {"databases", DATABASES}, {"clients", CLIENTS}, {"users", USERS}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (sg_span_eq_cstr(name, known[i].name))
            return known[i].section;
    return UNKNOWN_SECTION;
}

static void settle_line(struct loader *loader) {
    if (loader->line_owed)
        fault(loader, loader->line, "not a section, a comment or key = value");
    loader->line_owed = false;
}

static void begin_line(struct loader *loader, struct sg_span text) {
    while (text.len && isspace((unsigned char)text.ptr[0]))
        text = (struct sg_span){text.ptr + 1, text.len - 1};
    if (!text.len || text.ptr[0] == ';' || text.ptr[0] == '#')
        return;
    const char *close = text.ptr[0] == '[' ? memchr(text.ptr, ']', text.len) : NULL;
    if (!close) {
        loader->line_owed = true;
        return;
    }
    struct sg_span name = {text.ptr + 1, (size_t)(close - text.ptr) - 1};
    loader->section = section_of(name);
    if (loader->section == UNKNOWN_SECTION)
        fault(loader, loader->line, "unknown section [%.*s]; known are [segue], [databases], [users], [clients]",
              (int)name.len, name.ptr);
}

/* inih's fgets: one whole line a call, so that line numbers are ours to count. */
static char *read_line(char *out, int size, void *stream) {
    struct loader *loader = stream;
    settle_line(loader);
    if (!loader->left.len || size < 2)
        return NULL;
    loader->line++;
    const char *newline = memchr(loader->left.ptr, '\n', loader->left.len);
    size_t len = newline ? (size_t)(newline - loader->left.ptr) : loader->left.len;
    struct sg_span text = {loader->left.ptr, len};
    size_t taken = len + (newline ? 1 : 0);
    loader->left = (struct sg_span){loader->left.ptr + taken, loader->left.len - taken};
    if (memchr(text.ptr, '\0', text.len) || text.len + 2 > (size_t)size) {
        fault(loader, loader->line, "line has a NUL byte or is longer than %d bytes", LINE_MAX_BYTES - 4);
        text.len = 0;
    }
    begin_line(loader, text);
    memcpy(out, text.ptr, text.len);
    memcpy(out + text.len, "\n", 2);
    return out;
}

static int on_key(void *user, const char *section, const char *name, const char *value) {
    struct loader *loader = user;
    (void)section; /* inih cuts long names; read_line knows the whole one */
    loader->line_owed = false;
    switch (loader->section) {
    case MAIN:
        set_key(loader, name, value);
        break;
    case DATABASES:
        set_database(loader, name, value);
        break;
    case CLIENTS:
        set_client(loader, name, value);
        break;
    case USERS:
        set_user(loader, name, value);
        break;
    case NO_SECTION:
        fault(loader, loader->line, "\"%s\" stands before the first section", name);
        break;
    case UNKNOWN_SECTION: /* the heading was the fault */
        break;
    }
    return 1;
}

static void parse_text(struct loader *loader) {
    ini_use_stack = false;
    ini_initial_alloc = LINE_MAX_BYTES;
    ini_max_line = LINE_MAX_BYTES;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false; /* a password may hold " ;" */
    if (ini_parse_stream(read_line, loader, on_key, loader) == -2)
        abort();
    settle_line(loader);
}

/* ---- The whole ---- */

static void apply_defaults(struct sg_config *config) {
    char why[300];
    for (size_t i = 0; i < sg_config_keys(); i++)
        if (!sg_config_store(config, i, sg_config_key_default(i), why, sizeof(why)))
            abort(); /* the table is wrong: no test passes */
}

static void apply_overrides(struct loader *loader, const struct sg_config_override *overrides, size_t len) {
    const char *file = loader->name;
    loader->name = NULL;
    loader->line = 0;
    for (size_t i = 0; i < len; i++) {
        size_t before = loader->faults->len;
        if (strcmp(overrides[i].key, SG_CONFIG_UPSTREAM) == 0)
            set_database(loader, SG_CONFIG_UPSTREAM, overrides[i].value);
        else
            set_key(loader, overrides[i].key, overrides[i].value);
        for (size_t f = before; f < loader->faults->len; f++) {
            char plain[sizeof(loader->faults->list[f].message)];
            memcpy(plain, loader->faults->list[f].message, sizeof(plain));
            snprintf(loader->faults->list[f].message, sizeof(plain), "%s: %.350s", overrides[i].option, plain);
        }
    }
    loader->name = file;
}

static void fault_of(struct loader *loader, const char *key, const char *message) {
    int line = loader->key_lines[sg_config_key_find(key)];
    loader->name = line ? loader->file : NULL;
    fault(loader, line, "%s", message);
    loader->name = loader->file;
}

static void check_auth(struct loader *loader) {
    const struct sg_config *config = loader->config;
    bool has_secrets = config->auth_file[0] || config->auth_user[0];
    bool wants_secrets = strcmp(config->auth_type, "scram-sha-256") == 0 || strcmp(config->auth_type, "md5") == 0;
    if (wants_secrets && !has_secrets)
        fault_of(loader, "auth_type", "auth_type: nobody could log in without secrets; give auth_file or auth_user");
    if (strcmp(config->auth_type, "cert") == 0 &&
        (!config->client_tls_ca_file[0] || strcmp(config->client_tls_sslmode, "disable") == 0))
        fault_of(loader, "auth_type", "auth_type = cert needs client_tls_sslmode and client_tls_ca_file");
    if (strcmp(config->auth_type, "hba") == 0 && !config->auth_hba_file[0])
        fault_of(loader, "auth_type", "auth_type = hba needs auth_hba_file");
}

static void check_control(struct loader *loader, const char *conninfo) {
    char *why = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &why);
    if (!options) {
        if (why)
            why[strcspn(why, "\n")] = '\0';
        fault(loader, loader->line, "control_conninfo: %s", why ? why : "out of memory");
    }
    PQfreemem(why);
    PQconninfoFree(options);
}

/* Under passthrough it is the client who answers the server's questions, about the role that it names itself. */
static void check_logins(struct loader *loader) {
    const struct sg_config *config = loader->config;
    for (size_t i = 0; i < config->databases_len; i++) {
        const struct sg_config_database *entry = &config->databases[i];
        if (strcmp(config->auth_type, "passthrough") == 0 && (entry->user[0] || entry->password[0]))
            fault(loader, entry->line, "%s: user and password: with auth_type = passthrough they are the client's own",
                  entry->name);
    }
}

/* What only the whole can be judged by. */
static void check_whole(struct loader *loader, const struct sg_config *defaults) {
    struct sg_config *config = loader->config;
    for (size_t i = 0; i < sg_config_keys(); i++) {
        if (sg_config_key_change(i) == SG_CHANGE_LATER && !sg_config_same(config, defaults, i)) {
            char value[200];
            sg_config_value(config, i, value, sizeof(value));
            loader->name = loader->key_lines[i] ? loader->file : NULL;
            fault(loader, loader->key_lines[i], "%s = %s is not supported yet; leave it out (default \"%s\")",
                  sg_config_key_name(i), value, sg_config_key_default(i));
        }
    }
    loader->line = loader->key_lines[sg_config_key_find("control_conninfo")];
    loader->name = loader->line ? loader->file : NULL;
    if (config->control_conninfo[0])
        check_control(loader, config->control_conninfo);
    check_auth(loader);
    loader->name = loader->file;
    check_logins(loader);
    if (!loader->database_seen)
        fault(loader, 0, "no database to go to: give a [databases] section or --upstream");
}

struct sg_config *sg_config_parse(const char *name, struct sg_span text, const struct sg_config_override *overrides,
                                  size_t overrides_len, struct sg_config_faults *faults) {
    struct sg_config *config = calloc(1, sizeof(*config)), *defaults = calloc(1, sizeof(*defaults));
    if (!config || !defaults)
        abort();
    sg_arena_init(&config->arena, 4096);
    sg_arena_init(&defaults->arena, 4096);
    size_t before = faults->len, lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    struct loader loader = {.config = config,
                            .faults = faults,
                            .file = name,
                            .name = name,
                            .left = text,
                            .key_lines = sg_arena_array(&config->arena, int, sg_config_keys()),
                            .databases =
                                sg_arena_array(&config->arena, struct sg_config_database, lines + overrides_len),
                            .clients = sg_arena_array(&config->arena, struct sg_config_client, lines),
                            .users = sg_arena_array(&config->arena, struct sg_config_user, lines)};
    config->key_lines = loader.key_lines;
    config->file = name ? sg_arena_strdup(&config->arena, name) : NULL;
    config->databases = loader.databases;
    config->clients = loader.clients;
    config->users = loader.users;
    apply_defaults(config);
    apply_defaults(defaults);
    if (name)
        parse_text(&loader);
    apply_overrides(&loader, overrides, overrides_len);
    check_whole(&loader, defaults);
    sg_config_free(defaults);
    if (faults->len == before)
        return config;
    sg_config_faults_sort(faults, before);
    sg_config_free(config);
    return NULL;
}

struct sg_config *sg_config_load(const char *path, const struct sg_config_override *overrides, size_t overrides_len,
                                 struct sg_config_faults *faults) {
    if (!path)
        return sg_config_parse(NULL, (struct sg_span){"", 0}, overrides, overrides_len, faults);
    struct loader loader = {.faults = faults, .name = path};
    FILE *file = fopen(path, "re");
    char *text = malloc(FILE_MAX_BYTES);
    if (!text)
        abort();
    size_t len = file ? fread(text, 1, FILE_MAX_BYTES, file) : 0;
    struct sg_config *config = NULL;
    if (!file || ferror(file))
        fault(&loader, 0, "cannot read: %s", strerror(errno));
    else if (len == FILE_MAX_BYTES)
        fault(&loader, 0, "longer than %u bytes", FILE_MAX_BYTES);
    else
        config = sg_config_parse(path, (struct sg_span){text, len}, overrides, overrides_len, faults);
    if (file)
        fclose(file);
    free(text);
    return config;
}

void sg_config_free(struct sg_config *config) {
    if (!config)
        return;
    sg_arena_free(&config->arena);
    free(config);
}

bool sg_config_split_address(struct sg_arena *arena, const char *address, const char **ret_host,
                             const char **ret_port) {
    const char *host = address, *port;
    size_t host_len;
    if (address[0] == '[') {
        const char *close = strchr(address, ']');
        if (!close || (close[1] && close[1] != ':'))
            return false;
        host = address + 1;
        host_len = (size_t)(close - host);
        port = close[1] ? close + 2 : "";
    } else {
        const char *colon = strrchr(address, ':');
        if (colon && memchr(address, ':', (size_t)(colon - address)))
            return false; /* a bare IPv6 address is ambiguous */
        host_len = colon ? (size_t)(colon - address) : strlen(address);
        port = colon ? colon + 1 : "";
    }
    if ((!host_len && !port[0]) || port[strspn(port, "0123456789")] || strlen(port) > 5)
        return false;
    *ret_host = sg_arena_strndup(arena, host, host_len);
    *ret_port = sg_arena_strdup(arena, port);
    return true;
}
