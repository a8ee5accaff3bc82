/* Reads tests/transcripts/NAME.txt; the format is described in the README there. */
#ifndef SEGUE_TESTS_TRANSCRIPT_H
#define SEGUE_TESTS_TRANSCRIPT_H

#include "decode.h"

struct transcript {
    bool begins_with_startup;
    unsigned bytes_first;      /* lines `B byte` */
    struct sg_buf stream[2];   /* by enum side */
    struct sg_buf expected[2]; /* the lines with =, as decode() tells them */
    char error[256];           /* why transcript_read answered false */
};

bool transcript_read(struct transcript *transcript, const char *path);
void transcript_free(struct transcript *transcript);

#endif
