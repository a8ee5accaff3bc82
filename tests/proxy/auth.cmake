segue_unit_test(test_auth_hba SOURCES test_auth_hba.c text_file.c LINKS segue_proxy)
segue_unit_test(test_net_limits SOURCES test_net_limits.c LINKS segue_proxy)
