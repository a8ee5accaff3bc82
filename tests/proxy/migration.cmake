# The migration room without a proxy around it: a small driver, and a pytest file that kills it at every step.
segue_program(migration_driver SOURCES migration_driver.c LINKS segue_proxy)
add_test(NAME migration_engine
         COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider "${CMAKE_CURRENT_SOURCE_DIR}/test_migration_engine.py")
set_tests_properties(migration_engine PROPERTIES
  LABELS "integration;smoke" TIMEOUT 900
  ENVIRONMENT "SEGUE_BUILD_DIR=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
