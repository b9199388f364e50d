"""The pose lifter: people rendered and seen by perception, and the network that learns their poses from what it saw."""
