"""The process that runs workflows and activities: one function builds it, for production and tests alike."""
