"""Which tests have passed, and what that unlocks."""
