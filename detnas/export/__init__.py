"""Out and in: a subnet's weights sliced from a supernet, the authors' checkpoints."""
