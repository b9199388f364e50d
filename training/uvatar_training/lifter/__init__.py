"""Training data, losses and scores of the pose lifter, which learns from perception's results on rendered people."""
