"""What the system does, one file for each transaction, knowing neither HTTP nor AWS nor SQL."""
