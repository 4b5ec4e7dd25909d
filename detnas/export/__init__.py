"""Out and in: a subnet's weights sliced from a supernet, and (later) other formats."""
