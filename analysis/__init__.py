"""The toolkit to understand what was captured: frames, SQL and measures over the store."""
