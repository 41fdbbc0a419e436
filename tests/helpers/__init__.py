"""What several test modules share: servers, databases, files, requests. No test is in here."""
