"""From a user's data to an experiment's folder."""
