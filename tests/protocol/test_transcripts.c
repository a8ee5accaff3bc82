/*
 * Every conversation of tests/transcripts, decoded in one piece and compared with what the file says, then cut at every
 * byte into two, and fed byte by byte: the telling must stay the same.
 */
#include "transcript.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_TRANSCRIPTS 25u

static void start(struct decoder *decoder, const struct transcript *transcript, enum side side) {
    decoder_init(decoder, side, SG_FRAME_MAX_BYTES);
    decoder->in_startup = side == SIDE_FRONTEND && transcript->begins_with_startup;
    decoder->bytes_first = side == SIDE_BACKEND ? transcript->bytes_first : 0;
}

/* Feeds the stream in pieces: the first of first bytes, the others of each. */
static void feed(struct decoder *decoder, const struct sg_buf *stream, size_t first, size_t each) {
    struct guard guard = {0};
    size_t at = 0, piece = first;
    while (at < stream->len) {
        size_t len = piece < stream->len - at ? piece : stream->len - at;
        decode(decoder, guard_place(&guard, stream->data + at, len), len);
        at += len;
        piece = each;
    }
    decode_end(decoder);
    guard_free(&guard);
}

static bool same(const struct sg_buf *a, const struct sg_buf *b) {
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void check_fed(const struct transcript *transcript, enum side side, size_t first, size_t each,
                      const char *path) {
    struct decoder decoder;
    start(&decoder, transcript, side);
    feed(&decoder, &transcript->stream[side], first, each);
    const struct sg_buf *expected = &transcript->expected[side];
    cr_assert(same(&decoder.text, expected),
              "%s: side %s, pieces of %zu then %zu bytes: decoded as\n%.*s\n-- expected:\n%.*s", path,
              side == SIDE_FRONTEND ? "F" : "B", first, each, (int)decoder.text.len, (char *)decoder.text.data,
              (int)expected->len, (char *)expected->data);
    decoder_free(&decoder);
}

static void check_transcript(const char *path) {
    struct transcript transcript;
    cr_assert(transcript_read(&transcript, path), "%s: %s", path, transcript.error);
    cr_assert(transcript.stream[0].len + transcript.stream[1].len > 0, "%s holds no message", path);
    for (enum side side = SIDE_FRONTEND; side <= SIDE_BACKEND; side++) {
        size_t len = transcript.stream[side].len;
        check_fed(&transcript, side, len, len, path);
        check_fed(&transcript, side, 1, 1, path);
        for (size_t cut = 1; cut < len; cut++) {
            check_fed(&transcript, side, cut, len, path);
        }
    }
    transcript_free(&transcript);
}

static void find(glob_t *found) {
    const char *source = getenv("SEGUE_SOURCE_DIR");
    char pattern[4096];
    cr_assert(source, "SEGUE_SOURCE_DIR is not set");
    (void)snprintf(pattern, sizeof pattern, "%s/tests/transcripts/*.txt", source);
    cr_assert(glob(pattern, 0, NULL, found) == 0, "nothing matches %s", pattern);
}

Test(transcripts, decode_the_same_at_every_split) {
    glob_t found;
    find(&found);
    cr_assert(found.gl_pathc >= LEAST_TRANSCRIPTS, "only %zu transcripts", found.gl_pathc);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        check_transcript(found.gl_pathv[i]);
    }
    globfree(&found);
}

/* A reader that takes anything would make the files above prove nothing. */
Test(transcripts, reader_refuses_what_it_does_not_know) {
    static const char *const wrong[] = {"X Q 'a'\n",      "F Q 'a\n",      "F Q i12=3\n",
                                        "F Q i8=256\n",   "F Q \"\\q\"\n", "F Query 'a'\n",
                                        "  Query sql=\n", "F Q 'a'*0\n",   "F Q i32=\n"};
    char path[] = "/tmp/segue-transcript-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    FILE *file = fdopen(fd, "r+");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct transcript transcript;
        cr_assert(freopen(path, "w", file) != NULL);
        cr_assert(fputs(wrong[i], file) >= 0 && fflush(file) == 0);
        cr_expect(!transcript_read(&transcript, path), "accepted: %s", wrong[i]);
        cr_expect(transcript.error[0] != 0);
        transcript_free(&transcript);
    }
    (void)fclose(file);
    (void)remove(path);
}
