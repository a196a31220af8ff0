"""What tests of crashes need: a disk that forgets, and small runs of each command that writes."""
