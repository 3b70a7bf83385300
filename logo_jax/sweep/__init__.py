"""Many runs by one command: what is to be done, in which order, by how many."""
