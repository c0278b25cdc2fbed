"""A kept run as a page, a table or a test report, for people and programs that have no Assay."""
