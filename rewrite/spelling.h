/*
 * spelling — the text as the parser gets it, where that cannot be the client's own.
 *
 * libpg_query reads UTF-8 with standard strings, and names as a server of UTF-8 would. It also stumbles over comments
 * in places where the grammar looks one token ahead (NOT, NULLS, WITH, UESCAPE). For all else the parser gets a copy of
 * the text in which every byte stands where it stood (so that the parser's places are places in the client's text), and
 * nothing is left that could be misread: comments are blanks, characters of several bytes are filler, and a name or a
 * string that needs more than the parser knows is a number, written in bytes from 0x80 to 0xbf, for what it stands for.
 * The tree's names are then looked up here.
 */
#ifndef SEGUE_REWRITE_SPELLING_H
#define SEGUE_REWRITE_SPELLING_H

#include "token.h"

struct sg_spelling {
    struct sg_span mask; /* NUL-terminated; the client's text where nothing has to be changed */
    bool is_masked;
    bool is_doubtful;  /* some name may be another one to the server */
    bool has_too_many; /* names for the numbers there are */
    struct sg_spellings {
        const char **v;
        size_t n, cap;
    } by_digits[4]; /* names of one byte, two, three, more */
};

void sg_spell(struct sg_arena *arena, const struct sg_tokens *tokens, struct sg_spelling *ret_spelling);

/* What a name or string of the parser's tree stands for; NULL: a string of which the value is not known. spelling may
 * be NULL. */
const char *sg_spelling_of(const struct sg_spelling *spelling, const char *parsed);

#endif
