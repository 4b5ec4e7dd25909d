"""From a config to a finished stage: training, search, test; and a folder of them in order."""
