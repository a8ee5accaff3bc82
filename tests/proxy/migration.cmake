# The migration room without a proxy around it: a small driver, and pytest files that run, kill and question it.
segue_program(migration_driver SOURCES migration_driver.c LINKS segue_proxy)

# What the sanitizers should see: every step, lost connections, two engines, cancelled statements.
set(smoke "whole_window or stands_on_the or lost_conn or takes_over or in_the_middle or pause")
foreach(part engine faults partitions refusals)
  set(command /usr/bin/python3 -m pytest -q -p no:cacheprovider "${CMAKE_CURRENT_SOURCE_DIR}/test_migration_${part}.py")
  set(labels integration)
  if(SEGUE_SANITIZE AND part MATCHES "engine|faults")
    list(APPEND command -k "${smoke}")
    list(APPEND labels smoke)
  endif()
  add_test(NAME migration_${part} COMMAND ${command})
  set_tests_properties(migration_${part} PROPERTIES
    LABELS "${labels}" TIMEOUT 900
    ENVIRONMENT "SEGUE_BUILD_DIR=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
endforeach()
