/*
 * User name maps (PostgreSQL docs, 21.2): lines of a map's name, a name that something outside vouches for, and a user
 * that it may be.
 */
#include "hba_records.h"

#include <stdio.h>
#include <string.h>

static bool read_mapping(struct sg_hba *hba, const struct sg_hba_line *line, struct sg_config_faults *faults) {
    static const char *const what[] = {"map name", "system user name", "database user name"};
    for (size_t i = 0; i < 3; i++) {
        if (i >= line->len || line->fields[i].len != 1) {
            sg_config_faults_add(
                faults, line->file, line->number,
                i >= line->len ? "missing entry at end of line: %s" : "multiple values in ident field: %s", what[i]);
            return false;
        }
    }
    struct sg_hba_mapping mapping = {line->fields[0].tokens[0].text, line->fields[1].tokens[0],
                                     line->fields[2].tokens[0]};
    bool is_good = sg_hba_make_pattern(hba, line, &mapping.system_user, faults);
    is_good &= sg_hba_make_pattern(hba, line, &mapping.user, faults);
    bool has_reference = !mapping.user.pattern && strstr(mapping.user.text, "\\1");
    if (is_good && has_reference && mapping.system_user.pattern && mapping.system_user.pattern->compiled.re_nsub == 0) {
        sg_config_faults_add(faults, line->file, line->number,
                             "regular expression \"%s\" has no subexpressions as requested by backreference in \"%s\"",
                             mapping.system_user.text + 1, mapping.user.text);
        return false;
    }
    if (!mapping.user.is_quoted && mapping.user.text[0] == '+') {
        sg_hba_need(&hba->needs.roles, line);
    }
    hba->mappings[hba->mappings_len++] = mapping;
    return is_good;
}

bool sg_hba_read_maps(struct sg_hba *hba, const char *path, const struct sg_hba_files *files,
                      struct sg_config_faults *faults) {
    struct sg_hba_lines lines = {0};
    bool is_good = sg_hba_lines_read(&hba->arena, path, files, faults, &lines);
    hba->mappings = sg_arena_array(&hba->arena, struct sg_hba_mapping, lines.len + 1);
    for (size_t i = 0; i < lines.len; i++) {
        is_good &= read_mapping(hba, &lines.list[i], faults);
    }
    return is_good;
}

bool sg_hba_has_map(const struct sg_hba *hba, const char *map) {
    for (size_t i = 0; i < hba->mappings_len; i++) {
        if (strcmp(hba->mappings[i].map, map) == 0) {
            return true;
        }
    }
    return false;
}

/* The user of the mapping is the client's; group: what stands for \1 in it. A name that it was put in is a name and
 * nothing else, whatever it looks like. False: it does not fit. */
static enum sg_hba_answer is_mapped_user(const struct sg_hba_token *token, struct sg_span group, const char *user,
                                         const struct sg_hba_client *client) {
    const char *reference = strstr(token->text, "\\1");
    bool is_special = token->pattern || (!token->is_quoted && token->text[0] == '+');
    if (!reference || is_special || !group.ptr) {
        struct sg_hba_field field = {(struct sg_hba_token *)token, 1};
        return sg_hba_is_user(&field, user, client);
    }
    char expanded[2 * sizeof(struct sg_hba_name)];
    int len = snprintf(expanded, sizeof(expanded), "%.*s%.*s%s", (int)(reference - token->text), token->text,
                       (int)group.len, group.ptr, reference + 2);
    return len >= 0 && (size_t)len < sizeof(expanded) && strcmp(expanded, user) == 0 ? SG_HBA_YES : SG_HBA_NO;
}

enum sg_hba_answer sg_hba_map(const struct sg_hba *hba, const struct sg_hba_rule *rule, const char *name,
                              const struct sg_hba_client *client) {
    struct sg_hba_name user = sg_hba_name(client->user);
    if (!rule->map) {
        return strcmp(name, user.text) == 0 ? SG_HBA_YES : SG_HBA_NO;
    }
    for (size_t i = 0; i < hba->mappings_len; i++) {
        const struct sg_hba_mapping *mapping = &hba->mappings[i];
        struct sg_span group = {NULL, 0};
        bool fits = strcmp(mapping->map, rule->map) == 0 &&
                    (mapping->system_user.pattern ? sg_hba_pattern_matches(mapping->system_user.pattern, name, &group)
                                                  : strcmp(mapping->system_user.text, name) == 0);
        enum sg_hba_answer found = fits ? is_mapped_user(&mapping->user, group, user.text, client) : SG_HBA_NO;
        if (found != SG_HBA_NO) {
            return found;
        }
    }
    return SG_HBA_NO;
}
