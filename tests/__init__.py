"""The tests, and what they share; a package of its own name, for there are distributions that bring another `tests` along."""
