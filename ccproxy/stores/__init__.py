"""Where exchanges rest: a contract, and a store for each dialect that keeps it."""
