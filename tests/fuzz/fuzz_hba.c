/*
 * hba files of any shape. A line `=== NAME` begins another file that the first may take in; ident.conf is the map file.
 *
 * Properties: reading ends, and tells the same twice; nothing is accepted with a fault, nor refused without one; a
 * client's answer names a line of these files, and that line alone lets him in alike; a reject in front of everything
 * rejects; what is not known is asked for once.
 */
#include "check.h"
#include "proxy/auth/hba.h"

#include <netinet/in.h>
#include <string.h>

#define FILES_MAX 8

struct files {
    struct {
        char *name, *text;
    } list[FILES_MAX];
    size_t len;
    const char *first; /* stands for hba.conf, if not NULL */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum sg_hba_found read_file(void *arg, const char *path, struct sg_arena *arena, struct sg_span *ret_text,
                                   char *why, size_t why_size) {
    const struct files *files = arg;
    (void)arena;
    for (size_t i = 0; i < files->len; i++) {
        if (strcmp(files->list[i].name, path) == 0) {
            *ret_text = sg_span_of(i == 0 && files->first ? files->first : files->list[i].text);
            return SG_HBA_FILE_FOUND;
        }
    }
    snprintf(why, why_size, "not there");
    return SG_HBA_FILE_MISSING;
}

static enum sg_hba_found list_files(void *arg, const char *path, struct sg_arena *arena, const char *const **ret_paths,
                                    size_t *ret_len, char *why, size_t why_size) {
    const struct files *files = arg;
    const char **paths = sg_arena_array(arena, const char *, FILES_MAX);
    for (size_t i = 0; i < files->len; i++) {
        paths[i] = files->list[i].name;
    }
    snprintf(why, why_size, "not there");
    *ret_paths = paths;
    *ret_len = files->len;
    return strcmp(path, "dir") == 0 ? SG_HBA_FILE_FOUND : SG_HBA_FILE_MISSING;
}

static void split(char *text, struct files *files) {
    files->list[0].name = (char *)"hba.conf";
    files->list[0].text = text;
    files->len = 1;
    for (char *mark = text; files->len < FILES_MAX && (mark = strstr(mark, "\n=== "));) {
        char *name = mark + 5, *end = strchr(name, '\n');
        mark[1] = '\0';
        if (!end) {
            return;
        }
        *end = '\0';
        files->list[files->len].name = name;
        files->list[files->len++].text = mark = end + 1;
    }
}

static struct sg_hba *read_hba(struct files *files, bool with_maps, size_t *ret_faults) {
    struct sg_hba_files door = {read_file, list_files, files};
    struct sg_config_faults faults = {0};
    struct sg_hba *hba = sg_hba_read("hba.conf", with_maps ? "ident.conf" : NULL, &door, &faults);
    CHECK((hba == NULL) == (faults.len > 0));
    *ret_faults = faults.len;
    sg_config_faults_sort(&faults, 0);
    sg_config_faults_free(&faults);
    return hba;
}

/* The client with everything known that is asked for. */
static const struct sg_hba_rule *settle(const struct sg_hba *hba, struct sg_hba_client client) {
    static const char *const roles[] = {"u", "admins", NULL};
    static const struct sg_hba_network networks[1] = {{{.ss_family = AF_INET}, {.ss_family = AF_INET}}};
    const struct sg_hba_rule *rule = NULL;
    for (int asked = 0; asked < 4; asked++) {
        switch (sg_hba_match(hba, &client, &rule)) {
        case SG_HBA_YES:
            CHECK(rule);
            return rule;
        case SG_HBA_NO:
            CHECK(!rule);
            return NULL;
        case SG_HBA_ASK_HOST:
            CHECK(!client.host && client.address->sa_family != AF_UNIX);
            client.host = "h.example.com";
            break;
        case SG_HBA_ASK_ROLES:
            CHECK(!client.roles && sg_hba_needs(hba)->roles.line > 0);
            client.roles = roles;
            break;
        case SG_HBA_ASK_NETWORKS:
            CHECK(!client.networks);
            client.networks = networks;
            client.networks_len = 1;
            break;
        }
    }
    CHECK(!"asks again what it knows");
    return NULL;
}

static const struct sg_hba_rule *settle_alone(struct files *files, const struct sg_hba_rule *rule, bool with_maps,
                                              const struct sg_hba_client *client, struct sg_hba **ret_hba) {
    size_t faults;
    files->first = rule->text;
    *ret_hba = read_hba(files, with_maps, &faults);
    CHECK(*ret_hba);
    files->first = NULL;
    return settle(*ret_hba, *client);
}

static void check_client(struct files *files, const struct sg_hba *hba, bool with_maps, struct sg_hba_client client) {
    const struct sg_hba_rule *rule = settle(hba, client);
    if (!rule) {
        return;
    }
    CHECK(rule->line > 0 && rule->text && rule->file);
    CHECK(rule->method != SG_AUTH_CERT || client.is_encrypted);
    CHECK(rule->method != SG_AUTH_PEER || client.address->sa_family == AF_UNIX);
    sg_hba_map(hba, rule, "u@example.com", &client);
    if (strcmp(rule->file, "hba.conf") != 0) {
        return;
    }
    struct sg_hba *alone;
    const struct sg_hba_rule *same = settle_alone(files, rule, with_maps, &client, &alone);
    CHECK(same && same->method == rule->method && same->clientcert == rule->clientcert);
    sg_hba_unref(alone);
}

static void check_clients(struct files *files, const struct sg_hba *hba, bool with_maps) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0x0a010203)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    const struct sockaddr *addresses[] = {(struct sockaddr *)&v4, (struct sockaddr *)&v6, &unix_socket};
    for (size_t i = 0; i < 12; i++) {
        struct sg_hba_client client = {.user = SG_SPAN_LIT("u"), .database = SG_SPAN_LIT("d")};
        client.address = addresses[i % 3];
        client.is_encrypted = i / 3 % 2 == 1 && i % 3 != 2;
        client.is_replication = i / 6 == 1;
        check_client(files, hba, with_maps, client);
    }
}

static void check_reject_in_front(struct files *files, bool with_maps) {
    const char first[] = "local all,replication all reject\n";
    size_t len = strlen(files->list[0].text), faults;
    char *text = malloc(sizeof(first) + len);
    CHECK(text);
    memcpy(text, first, sizeof(first) - 1);
    memcpy(text + sizeof(first) - 1, files->list[0].text, len + 1);
    files->first = text;
    struct sg_hba *hba = read_hba(files, with_maps, &faults);
    CHECK(hba);
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    struct sg_hba_client client = {.address = &unix_socket, .user = SG_SPAN_LIT("u"), .database = SG_SPAN_LIT("d")};
    const struct sg_hba_rule *rule = settle(hba, client);
    CHECK(rule && rule->line == 1 && rule->method == SG_AUTH_REJECT);
    sg_hba_unref(hba);
    files->first = NULL;
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    struct files files = {.len = 0};
    bool with_maps = strstr(text, "\n=== ident.conf\n") != NULL;
    split(text, &files);
    size_t faults, faults_again;
    struct sg_hba *hba = read_hba(&files, with_maps, &faults);
    sg_hba_unref(read_hba(&files, with_maps, &faults_again));
    CHECK(faults == faults_again);
    /* A file that takes itself in sees what is put in front as well. */
    if (hba && !strstr(text, "hba.conf") && !strstr(text, "include")) {
        check_reject_in_front(&files, with_maps);
        check_clients(&files, hba, with_maps);
    }
    sg_hba_unref(hba);
    free(text);
    return 0;
}
