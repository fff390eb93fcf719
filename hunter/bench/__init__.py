"""What this machine does, paired against a peer in the same run."""
