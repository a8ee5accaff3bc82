# Everything segue stands on, from Debian 12's packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
pkg_check_modules(libuv REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(libidn REQUIRED IMPORTED_TARGET libidn)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd)

add_library(segue::jansson ALIAS PkgConfig::jansson)
add_library(segue::idn ALIAS PkgConfig::libidn)
add_library(segue::microhttpd ALIAS PkgConfig::microhttpd)
add_library(segue::uv ALIAS PkgConfig::libuv)
add_library(segue::pq ALIAS PkgConfig::libpq)
add_library(segue::xxhash ALIAS PkgConfig::xxhash)

find_path(INIH_INCLUDE_DIR ini.h REQUIRED)
find_library(INIH_LIBRARY inih REQUIRED)
add_library(segue::inih UNKNOWN IMPORTED)
set_target_properties(segue::inih PROPERTIES IMPORTED_LOCATION "${INIH_LIBRARY}"
                      INTERFACE_INCLUDE_DIRECTORIES "${INIH_INCLUDE_DIR}")

# libpg_query: PostgreSQL's own parser. Its node types come from the server's headers.
find_library(PG_QUERY_LIBRARY pg_query REQUIRED)
find_path(PG_SERVER_INCLUDE_DIR postgres.h PATHS /usr/include/postgresql/15/server REQUIRED)
add_library(segue::pg_query UNKNOWN IMPORTED)
set_target_properties(segue::pg_query PROPERTIES IMPORTED_LOCATION "${PG_QUERY_LIBRARY}"
                      INTERFACE_INCLUDE_DIRECTORIES "${PG_SERVER_INCLUDE_DIR}")

if(SEGUE_TESTS)
  pkg_check_modules(criterion REQUIRED IMPORTED_TARGET criterion)
  add_library(segue::criterion ALIAS PkgConfig::criterion)
endif()
