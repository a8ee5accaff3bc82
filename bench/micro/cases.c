#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

static const char ddl[] =
    "CREATE TABLE users (user_id bigint PRIMARY KEY, nickname varchar(100), city_id integer, version bigint);"
    "CREATE TABLE cities (city_id integer PRIMARY KEY, name text, country text);"
    "CREATE TABLE orders (order_id bigint PRIMARY KEY, user_id bigint, total numeric, placed_at timestamptz);"
    "CREATE TABLE order_items (item_id bigint PRIMARY KEY, order_id bigint, product_id bigint, quantity integer);"
    "CREATE TABLE products (product_id bigint PRIMARY KEY, title text, price numeric, active boolean);";

static void give_up(const char *message) {
    fprintf(stderr, "micro: %s\n", message);
    exit(1);
}

static void add_ddl(struct sg_catalog *catalog, const char *text) {
    struct sg_error err;
    if (!sg_catalog_add_ddl(catalog, sg_span_of(text), &err))
        give_up(err.message);
}

struct sg_snapshot *micro_snapshot(enum sg_phase phase, unsigned parts) {
    struct sg_error err;
    struct sg_catalog *catalog = sg_catalog_new();
    add_ddl(catalog, ddl);
    for (unsigned i = 0; i < parts; i++) {
        char text[80];
        snprintf(text, sizeof text, "CREATE TABLE users_%u_%02u () INHERITS (users);", 2000 + i / 12, 1 + i % 12);
        add_ddl(catalog, text);
    }
    struct sg_mapping mapping = {.migration = "rename",
                                 .schema = "public",
                                 .table = "users",
                                 .old_name = "nickname",
                                 .new_name = "username",
                                 .phase = phase};
    if (!sg_catalog_describe(catalog, &mapping))
        give_up("there is no such table");
    struct sg_snapshot *snapshot = sg_snapshot_new(1, catalog, &mapping, 1, &err);
    if (!snapshot)
        give_up(err.message);
    return snapshot;
}

/* As Django writes it. */
static const char orm_query[] =
    "SELECT \"orders\".\"order_id\", \"orders\".\"user_id\", \"orders\".\"total\", \"orders\".\"placed_at\", "
    "\"users\".\"user_id\", \"users\".\"username\", \"users\".\"city_id\", \"users\".\"version\", "
    "\"cities\".\"city_id\", \"cities\".\"name\", \"cities\".\"country\", \"order_items\".\"item_id\", "
    "\"order_items\".\"product_id\", \"order_items\".\"quantity\", \"products\".\"product_id\", "
    "\"products\".\"title\", "
    "\"products\".\"price\" FROM \"orders\" INNER JOIN \"users\" ON (\"orders\".\"user_id\" = \"users\".\"user_id\") "
    "INNER JOIN \"order_items\" ON (\"orders\".\"order_id\" = \"order_items\".\"order_id\") "
    "INNER JOIN \"products\" ON (\"order_items\".\"product_id\" = \"products\".\"product_id\") "
    "LEFT OUTER JOIN \"cities\" ON (\"users\".\"city_id\" = \"cities\".\"city_id\") "
    "WHERE (\"users\".\"username\" = 'somebody' AND \"orders\".\"total\" >= 100.00 AND \"products\".\"active\" AND "
    "\"orders\".\"order_id\" > " COUNTER
    ") ORDER BY \"orders\".\"placed_at\" DESC, \"orders\".\"order_id\" ASC LIMIT 21";

static const struct {
    const char *label, *sql;
} fixed[] = {
    {"other table, by key", "SELECT total, placed_at FROM orders WHERE order_id = $1"},
    {"other table, 6 rows insert",
     "INSERT INTO orders (order_id, user_id, total) VALUES (1, 2, 3.5), (2, 2, 3.5), (3, 2, 3.5), (4, 2, 3.5), "
     "(5, 2, 3.5), (6, 2, 3.5)"},
    {"read by key, $1", "SELECT user_id, username FROM users WHERE user_id = $1"},
    {"read by key", "SELECT user_id, username FROM users WHERE user_id = " COUNTER},
    {"read *", "SELECT * FROM users WHERE user_id = " COUNTER},
    {"count, which passes", "SELECT count(*) FROM users WHERE user_id > " COUNTER},
    {"insert", "INSERT INTO users (user_id, nickname, city_id) VALUES (" COUNTER ", 'somebody', 7)"},
    {"insert without a list", "INSERT INTO users VALUES (" COUNTER ", 'somebody', 7, 1)"},
    {"upsert", "INSERT INTO users (user_id, nickname) VALUES (" COUNTER ", 'somebody') ON CONFLICT (user_id) DO UPDATE "
               "SET nickname = EXCLUDED.nickname RETURNING user_id, nickname"},
    {"update", "UPDATE users SET nickname = 'somebody' WHERE user_id = " COUNTER},
    {"update, volatile", "UPDATE users SET nickname = md5(random()::text) WHERE user_id = " COUNTER},
    {"join, order, limit",
     "SELECT u.user_id, u.username, o.total FROM users u JOIN orders o ON o.user_id = u.user_id "
     "WHERE u.nickname = 'somebody' AND o.order_id > " COUNTER " ORDER BY o.placed_at DESC LIMIT 10"},
    {"ORM, five tables", orm_query},
};

static const unsigned bulk_rows[] = {10, 100, 1000, 4000};

static char *copy_of(const char *text) {
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

/* The same of tables that are no concern of ours. */
static char *other_orm_query(void) {
    char *sql = copy_of(orm_query);
    for (char *users; (users = strstr(sql, "users"));)
        users[0] = 'm';
    return sql;
}

static char *bulk_insert(unsigned rows) {
    static const char head[] = "INSERT INTO users (user_id, nickname, city_id) VALUES ";
    static const char row[] = "(" COUNTER ", 'somebody', 7)";
    char *sql = malloc(sizeof head + rows * (sizeof row + 2));
    if (!sql)
        abort();
    char *out = stpcpy(sql, head);
    for (unsigned i = 0; i < rows; i++)
        out = stpcpy(stpcpy(out, i ? ", " : ""), row);
    return sql;
}

size_t micro_cases(struct micro_case **ret_cases) {
    size_t n = 0, n_fixed = sizeof fixed / sizeof *fixed, n_bulk = sizeof bulk_rows / sizeof *bulk_rows;
    struct micro_case *cases = calloc(n_fixed + n_bulk + 1, sizeof *cases);
    if (!cases)
        abort();
    for (size_t i = 0; i < n_fixed; i++)
        cases[n++] = (struct micro_case){fixed[i].label, copy_of(fixed[i].sql)};
    cases[n++] = (struct micro_case){"ORM, five other tables", other_orm_query()};
    static char labels[sizeof bulk_rows / sizeof *bulk_rows][32];
    for (size_t i = 0; i < n_bulk; i++) {
        snprintf(labels[i], sizeof labels[i], "insert of %u rows", bulk_rows[i]);
        cases[n++] = (struct micro_case){labels[i], bulk_insert(bulk_rows[i])};
    }
    *ret_cases = cases;
    return n;
}

void micro_cases_free(struct micro_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(cases[i].sql);
    free(cases);
}
