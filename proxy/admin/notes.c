#include "proxy/admin/notes.h"

#include "proxy/admin/show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define COLUMNS_MAX (SG_NOTE_FIELDS_MAX + 2)

static const char *last_seen(struct sg_arena *arena, uint64_t age_ms) {
    time_t when = time(NULL) - (time_t)(age_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&when, &utc);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S+00", &utc);
    return sg_arena_strdup(arena, text);
}

/* The names of the columns outlive the result. */
static const char *const *columns_of(struct sg_arena *arena, enum sg_journal_kind kind, uint16_t *ret_len) {
    size_t len;
    const char *const *fields = sg_journal_fields(kind, &len);
    const char **names = sg_arena_array(arena, const char *, len + 2);
    names[0] = "count";
    names[1] = "last_seen";
    memcpy(names + 2, fields, len * sizeof(*names));
    *ret_len = (uint16_t)(len + 2);
    return names;
}

static void add_row(struct sg_result *result, const struct sg_note_copy *note) {
    const char *cells[COLUMNS_MAX];
    cells[0] = sg_arena_printf(result->arena, "%" PRIu64, note->count);
    cells[1] = last_seen(result->arena, note->age_ms);
    for (size_t i = 0; i < note->fields_len; i++)
        cells[2 + i] = note->fields[i];
    sg_result_row(result, cells);
}

bool sg_admin_session_notes(struct sg_admin_session *session, enum sg_journal_kind kind, const char *migration,
                            struct sg_result *result, struct sg_error *reterr) {
    struct sg_findings findings;
    if (!sg_show_survey(session->console, SG_ASK_NOTES, kind, &findings, reterr))
        return false;
    const struct sg_notes *notes = &findings.notes;
    uint16_t columns;
    const char *const *names = columns_of(result->arena, kind, &columns);
    sg_result_columns(result, names, columns);
    result->kinds = "nsssssssss"; /* of which the first so many */
    for (size_t i = 0; i < notes->n; i++)
        if (!migration || strcmp(notes->v[i].fields[0], migration) == 0) /* REFERENCES: its first field */
            add_row(result, &notes->v[i]);
    sg_findings_free(&findings);
    return true;
}
