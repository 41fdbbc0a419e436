"""The requirements, a module for each transaction; a test is named by its section of PS3.18."""
