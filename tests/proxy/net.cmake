segue_unit_test(test_net_expect SOURCES test_net_expect.c LINKS segue_proxy)
segue_unit_test(test_net_flow SOURCES test_net_flow.c LINKS segue_proxy)
segue_unit_test(test_net_hub SOURCES test_net_hub.c LINKS segue_proxy)
segue_unit_test(test_net_statements SOURCES test_net_statements.c LINKS segue_proxy)
