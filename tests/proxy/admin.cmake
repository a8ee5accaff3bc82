segue_unit_test(test_config SOURCES test_config.c text_file.c LINKS segue_proxy)
segue_unit_test(test_console_commands SOURCES test_console_commands.c text_file.c LINKS segue_proxy)
segue_unit_test(test_console_session SOURCES test_console_session.c LINKS segue_proxy)
segue_unit_test(test_log SOURCES test_log.c LINKS segue_proxy)
segue_unit_test(test_reference_docs SOURCES test_reference_docs.c text_file.c LINKS segue_proxy)

add_test(NAME cli
         COMMAND /usr/bin/python3 -m pytest -q -p no:cacheprovider "${CMAKE_CURRENT_SOURCE_DIR}/test_cli.py")
set_tests_properties(cli PROPERTIES
  LABELS "integration;smoke" TIMEOUT 600
  ENVIRONMENT "SEGUE_BUILD_DIR=${CMAKE_BINARY_DIR};PYTHONDONTWRITEBYTECODE=1")
