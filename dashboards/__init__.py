"""The Panel dashboard over what was captured."""
