"""Stand-in for the report of perfMode: writes nothing."""
