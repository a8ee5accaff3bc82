/* The SQLSTATEs that segue itself raises (PostgreSQL docs, Appendix A). Enum, code and name come from one list. */
#ifndef SEGUE_SQLSTATE_H
#define SEGUE_SQLSTATE_H

#define SG_SQLSTATES(X)                          \
    X(SUCCESSFUL_COMPLETION, "00000")            \
    X(CONNECTION_FAILURE, "08006")               \
    X(CANNOT_CONNECT, "08001")                   \
    X(PROTOCOL_VIOLATION, "08P01")               \
    X(FEATURE_NOT_SUPPORTED, "0A000")            \
    X(IN_FAILED_SQL_TRANSACTION, "25P02")        \
    X(IDLE_IN_TRANSACTION_TIMEOUT, "25P03")      \
    X(INVALID_AUTHORIZATION, "28000")            \
    X(INVALID_PASSWORD, "28P01")                 \
    X(INVALID_CATALOG_NAME, "3D000")             \
    X(SERIALIZATION_FAILURE, "40001")            \
    X(SYNTAX_ERROR, "42601")                     \
    X(INSUFFICIENT_PRIVILEGE, "42501")           \
    X(UNDEFINED_TABLE, "42P01")                  \
    X(UNDEFINED_COLUMN, "42703")                 \
    X(UNDEFINED_OBJECT, "42704")                 \
    X(AMBIGUOUS_COLUMN, "42702")                 \
    X(DUPLICATE_COLUMN, "42701")                 \
    X(UNDEFINED_PREPARED, "26000")               \
    X(UNDEFINED_PORTAL, "34000")                 \
    X(DUPLICATE_PREPARED, "42P05")               \
    X(DUPLICATE_OBJECT, "42710")                 \
    X(WRONG_OBJECT_TYPE, "42809")                \
    X(INVALID_PARAMETER_VALUE, "22023")          \
    X(OBJECT_NOT_IN_PREREQUISITE_STATE, "55000") \
    X(LOCK_NOT_AVAILABLE, "55P03")               \
    X(TOO_MANY_CONNECTIONS, "53300")             \
    X(PROGRAM_LIMIT_EXCEEDED, "54000")           \
    X(QUERY_CANCELED, "57014")                   \
    X(ADMIN_SHUTDOWN, "57P01")                   \
    X(CANNOT_CONNECT_NOW, "57P03")               \
    X(IDLE_SESSION_TIMEOUT, "57P05")             \
    X(INTERNAL_ERROR, "XX000")

enum sg_sqlstate {
#define X(name, code) SG_SQLSTATE_##name,
    SG_SQLSTATES(X)
#undef X
};

/* Five characters and a NUL, static storage. */
static inline const char *sg_sqlstate_code(enum sg_sqlstate state) {
    static const char *const codes[] = {
#define X(name, code) code,
        SG_SQLSTATES(X)
#undef X
    };
    return codes[state];
}

#endif
