/* Reading the file: lines to records. The messages are PostgreSQL's where it has one. */
#include "hba_records.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    struct sg_hba *hba;
    struct sg_config_faults *faults;
    const struct sg_hba_line *line;
    size_t next; /* field */
    struct sg_hba_record *record;
};

#define fault(parser, ...) \
    sg_config_faults_add((parser)->faults, (parser)->line->file, (parser)->line->number, __VA_ARGS__)

static const struct sg_hba_field *take_field(struct parser *p, const char *what) {
    if (p->next == p->line->len) {
        fault(p, "end of line before %s", what);
        return NULL;
    }
    return &p->line->fields[p->next++];
}

/* A field that may not be a list. */
static const struct sg_hba_token *take_token(struct parser *p, const char *what) {
    const struct sg_hba_field *field = take_field(p, what);
    if (field && field->len != 1) {
        fault(p, "more than one %s: a line has one", what);
        return NULL;
    }
    return field ? &field->tokens[0] : NULL;
}

static bool is_keyword(const struct sg_hba_token *token, const char *keyword) {
    return !token->is_quoted && strcmp(token->text, keyword) == 0;
}

bool sg_hba_make_pattern(struct sg_hba *hba, const struct sg_hba_line *line, struct sg_hba_token *token,
                         struct sg_config_faults *faults) {
    char why[200];
    if (token->text[0] != '/') {
        return true;
    }
    token->pattern = sg_hba_pattern_new(token->text + 1, why, sizeof(why));
    if (!token->pattern) {
        sg_config_faults_add(faults, line->file, line->number, "invalid regular expression \"%s\": %s", token->text + 1,
                             why);
        return false;
    }
    token->pattern->next = hba->patterns;
    hba->patterns = token->pattern;
    return true;
}

/* ---- Fields, in their order ---- */

static bool read_connection(struct parser *p) {
    static const struct {
        const char *word;
        enum sg_hba_connection connection;
    } known[] = {{"local", SG_HBA_LOCAL},
                 {"host", SG_HBA_HOST},
                 {"hostssl", SG_HBA_HOSTSSL},
                 {"hostnossl", SG_HBA_HOSTNOSSL},
                 {"hostnogssenc", SG_HBA_HOST}}; /* nothing is ever encrypted by GSSAPI here */
    const struct sg_hba_token *token = take_token(p, "connection type");
    if (!token) {
        return false;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strcmp(known[i].word, token->text) == 0) {
            p->record->connection = known[i].connection;
            return true;
        }
    }
    if (strcmp(token->text, "hostgssenc") == 0) {
        fault(p, "hostgssenc record cannot match because segue does not encrypt by GSSAPI");
    } else {
        fault(p, "invalid connection type \"%s\"", token->text);
    }
    return false;
}

static bool read_patterns(struct parser *p, struct sg_hba_field *field) {
    bool is_good = true;
    for (size_t i = 0; i < field->len; i++) {
        is_good &= sg_hba_make_pattern(p->hba, p->line, &field->tokens[i], p->faults);
    }
    return is_good;
}

static bool read_names(struct parser *p) {
    const struct sg_hba_field *databases = take_field(p, "database specification");
    const struct sg_hba_field *users = databases ? take_field(p, "role specification") : NULL;
    if (!users) {
        return false;
    }
    struct sg_hba_record *record = p->record;
    record->databases = *databases;
    record->users = *users;
    bool is_good = read_patterns(p, &record->databases);
    is_good &= read_patterns(p, &record->users);
    for (size_t i = 0; i < databases->len; i++) {
        if (is_keyword(&databases->tokens[i], "samerole") || is_keyword(&databases->tokens[i], "samegroup")) {
            sg_hba_need(&p->hba->needs.roles, p->line);
        }
    }
    for (size_t i = 0; i < users->len; i++) {
        if (!users->tokens[i].is_quoted && users->tokens[i].text[0] == '+') {
            sg_hba_need(&p->hba->needs.roles, p->line);
        }
    }
    return is_good;
}

static int family_of(const char *text, uint8_t bytes[16]) {
    return inet_pton(AF_INET, text, bytes) == 1    ? AF_INET
           : inet_pton(AF_INET6, text, bytes) == 1 ? AF_INET6
                                                   : AF_UNSPEC;
}

static bool set_prefix(struct parser *p, const char *text) {
    char *end;
    long bits = strtol(text, &end, 10), most = p->record->family == AF_INET ? 32 : 128;
    if (!*text || *end || text[0] < '0' || text[0] > '9' || bits > most) {
        fault(p, "invalid CIDR mask in address \"%s\"", p->line->fields[p->next - 1].tokens[0].text);
        return false;
    }
    for (int i = 0; i < 16; i++, bits -= 8) {
        p->record->mask[i] = bits >= 8 ? 0xff : bits > 0 ? (uint8_t)(0xff << (8 - bits)) : 0;
    }
    return true;
}

static bool read_mask(struct parser *p) {
    const struct sg_hba_token *token = take_token(p, "netmask specification");
    if (!token) {
        return false;
    }
    int family = family_of(token->text, p->record->mask);
    if (family != p->record->family) {
        fault(p, family == AF_UNSPEC ? "invalid IP mask \"%s\"" : "IP address and mask \"%s\" do not match",
              token->text);
        return false;
    }
    return true;
}

static bool read_range(struct parser *p, const char *text) {
    char address[INET6_ADDRSTRLEN + 1];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct sg_hba_record *record = p->record;
    record->family = AF_UNSPEC;
    if (len < sizeof(address)) {
        memcpy(address, text, len);
        address[len] = '\0';
        record->family = family_of(address, record->bytes);
    }
    if (record->family != AF_UNSPEC) {
        record->address = SG_HBA_RANGE;
        return slash ? set_prefix(p, slash + 1) : read_mask(p);
    }
    if (slash) {
        fault(p, "specifying both host name and CIDR mask is invalid: \"%s\"", text);
        return false;
    }
    record->address = SG_HBA_NAME;
    record->name = text;
    return true;
}

static bool read_address(struct parser *p) {
    static const struct {
        const char *keyword;
        enum sg_hba_address address;
    } known[] = {{"all", SG_HBA_ALL}, {"samehost", SG_HBA_SAMEHOST}, {"samenet", SG_HBA_SAMENET}};
    if (p->record->connection == SG_HBA_LOCAL) {
        return true;
    }
    const struct sg_hba_token *token = take_token(p, "IP address specification");
    if (!token) {
        return false;
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (is_keyword(token, known[i].keyword)) {
            p->record->address = known[i].address;
            return true;
        }
    }
    return read_range(p, token->text);
}

/* ---- Method and options ---- */

static bool read_method(struct parser *p) {
    static const char *const others[] = {"gss", "sspi", "ident", "ldap", "radius", "pam", "bsd", "oauth"};
    const struct sg_hba_token *token = take_token(p, "authentication method");
    if (!token) {
        return false;
    }
    const char *word = token->text;
    bool is_local = p->record->connection == SG_HBA_LOCAL;
    if (is_local && strcmp(word, "ident") == 0) { /* as PostgreSQL takes it */
        word = "peer";
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        if (strcmp(others[i], word) == 0) {
            fault(p,
                  "authentication method \"%s\" is not supported by segue; with \"passthrough\" the server asks for it",
                  token->text);
            return false;
        }
    }
    if (!sg_auth_method_from_name(word, &p->record->rule.method)) {
        fault(p, "invalid authentication method \"%s\"", token->text);
        return false;
    }
    enum sg_auth_method method = p->record->rule.method;
    if (method == SG_AUTH_PEER && !is_local) {
        fault(p, "peer authentication is only supported on local sockets");
        return false;
    }
    if (method == SG_AUTH_CERT && p->record->connection != SG_HBA_HOSTSSL) {
        fault(p, "cert authentication is only supported on hostssl connections");
        return false;
    }
    return true;
}

static bool set_clientcert(struct parser *p, const char *value) {
    struct sg_hba_rule *rule = &p->record->rule;
    if (p->record->connection != SG_HBA_HOSTSSL) {
        fault(p, "clientcert can only be configured for \"hostssl\" rows");
        return false;
    }
    if (strcmp(value, "verify-full") == 0) {
        rule->clientcert = SG_CLIENTCERT_VERIFY_FULL;
        return true;
    }
    if (strcmp(value, "verify-ca") != 0) {
        fault(p, "invalid value for clientcert: \"%s\"; it is verify-ca or verify-full", value);
        return false;
    }
    if (rule->method == SG_AUTH_CERT) {
        fault(p, "clientcert only accepts \"verify-full\" when using \"cert\" authentication");
        return false;
    }
    rule->clientcert = SG_CLIENTCERT_VERIFY_CA;
    return true;
}

static bool set_clientname(struct parser *p, const char *value) {
    if (p->record->connection != SG_HBA_HOSTSSL) {
        fault(p, "clientname can only be configured for \"hostssl\" rows");
        return false;
    }
    if (strcmp(value, "CN") != 0 && strcmp(value, "DN") != 0) {
        fault(p, "invalid value for clientname: \"%s\"; it is CN or DN", value);
        return false;
    }
    p->record->rule.is_distinguished = value[0] == 'D';
    return true;
}

static bool set_map(struct parser *p, const char *value) {
    if (p->record->rule.method != SG_AUTH_PEER && p->record->rule.method != SG_AUTH_CERT) {
        fault(p, "authentication option \"map\" is only valid for authentication methods peer and cert");
        return false;
    }
    if (!sg_hba_has_map(p->hba, value)) {
        fault(p, "there is no map \"%s\" in auth_ident_file", value);
        return false;
    }
    p->record->rule.map = value;
    return true;
}

static bool read_option(struct parser *p, const struct sg_hba_token *token) {
    static const struct {
        const char *name;
        bool (*set)(struct parser *p, const char *value);
    } known[] = {{"map", set_map}, {"clientcert", set_clientcert}, {"clientname", set_clientname}};
    const char *equals = strchr(token->text, '=');
    if (!equals) {
        fault(p, "authentication option not in name=value format: %s", token->text);
        return false;
    }
    size_t len = (size_t)(equals - token->text);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strlen(known[i].name) == len && strncmp(known[i].name, token->text, len) == 0) {
            return known[i].set(p, equals + 1);
        }
    }
    fault(p, "unrecognized authentication option name: \"%.*s\"", (int)len, token->text);
    return false;
}

static bool read_options(struct parser *p) {
    bool is_good = true;
    for (; p->next < p->line->len; p->next++) {
        const struct sg_hba_field *field = &p->line->fields[p->next];
        for (size_t i = 0; i < field->len; i++) {
            is_good &= read_option(p, &field->tokens[i]);
        }
    }
    if (p->record->rule.method == SG_AUTH_CERT) {
        p->record->rule.clientcert = SG_CLIENTCERT_VERIFY_FULL;
    }
    return is_good;
}

/* ---- The whole ---- */

static void note_needs(struct sg_hba_needs *needs, const struct sg_hba_line *line, const struct sg_hba_rule *rule) {
    if (rule->method == SG_AUTH_SCRAM_SHA_256 || rule->method == SG_AUTH_MD5 || rule->method == SG_AUTH_PASSWORD) {
        sg_hba_need(&needs->secret, line);
    }
    if (rule->method == SG_AUTH_PASSTHROUGH) {
        sg_hba_need(&needs->passthrough, line);
    }
    if (rule->clientcert != SG_CLIENTCERT_OFF) {
        sg_hba_need(&needs->certificate, line);
    }
}

static bool read_record(struct sg_hba *hba, const struct sg_hba_line *line, struct sg_config_faults *faults) {
    struct sg_hba_record *record = &hba->records[hba->records_len];
    struct parser p = {.hba = hba, .faults = faults, .line = line, .record = record};
    *record = (struct sg_hba_record){.rule = {.file = line->file, .line = line->number, .text = line->text}};
    if (!read_connection(&p) || !read_names(&p) || !read_address(&p) || !read_method(&p) || !read_options(&p)) {
        return false;
    }
    hba->records_len++;
    note_needs(&hba->needs, line, &record->rule);
    return true;
}

struct sg_hba *sg_hba_read(const char *path, const char *ident_path, const struct sg_hba_files *files,
                           struct sg_config_faults *faults) {
    struct sg_hba *hba = calloc(1, sizeof(*hba));
    if (!hba) {
        abort();
    }
    sg_arena_init(&hba->arena, 4096);
    hba->refs = 1;
    bool has_maps = ident_path && *ident_path;
    bool is_good = !has_maps || sg_hba_read_maps(hba, ident_path, files, faults);
    struct sg_hba_lines lines = {0};
    is_good &= sg_hba_lines_read(&hba->arena, path, files, faults, &lines);
    hba->records = sg_arena_array(&hba->arena, struct sg_hba_record, lines.len + 1);
    for (size_t i = 0; i < lines.len; i++) {
        is_good &= read_record(hba, &lines.list[i], faults);
    }
    if (is_good && hba->records_len == 0) { /* nobody could log in: not what anybody wants */
        sg_config_faults_add(faults, path, 0, "contains no entries");
        is_good = false;
    }
    if (is_good) {
        return hba;
    }
    sg_hba_unref(hba);
    return NULL;
}

struct sg_hba *sg_hba_ref(struct sg_hba *hba) {
    if (hba) {
        atomic_fetch_add_explicit(&hba->refs, 1, memory_order_relaxed);
    }
    return hba;
}

void sg_hba_unref(struct sg_hba *hba) {
    if (!hba || atomic_fetch_sub_explicit(&hba->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    while (hba->patterns) {
        struct sg_hba_pattern *pattern = hba->patterns;
        hba->patterns = pattern->next;
        sg_hba_pattern_free(pattern);
    }
    sg_arena_free(&hba->arena);
    free(hba);
}

const struct sg_hba_needs *sg_hba_needs(const struct sg_hba *hba) {
    return &hba->needs;
}
