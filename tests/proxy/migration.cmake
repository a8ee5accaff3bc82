# The migration room without a proxy around it: a small driver, and a pytest file that kills it at every step.
segue_program(migration_driver SOURCES migration_driver.c LINKS segue_proxy)

# migration_engine_test(name labels [pytest arguments...])
function(migration_engine_test name labels)
  add_test(NAME ${name}
           COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider ${ARGN}
                   "${CMAKE_CURRENT_SOURCE_DIR}/test_migration_engine.py")
  set_tests_properties(${name} PROPERTIES
    LABELS "${labels}" TIMEOUT 1200
    ENVIRONMENT "SEGUE_BUILD_DIR=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endfunction()

# What the sanitizers should see: every step, lost connections, two engines, cancelled statements.
set(smoke "whole_window or stands_on_the or lost_conn or takes_over or in_the_middle or pause")
if(SEGUE_SANITIZE)
  migration_engine_test(migration_engine "integration;smoke" -k "${smoke}")
else()
  migration_engine_test(migration_engine "integration")
endif()
