"""What is fetched over REST: an exchange's history, and trades that did not come."""
