"""What a failed test shows, as facts, and the sentences that say it."""
