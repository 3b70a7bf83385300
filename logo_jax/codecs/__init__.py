"""Between flat vectors and what networks read and say of them.

A codec belongs to one kind of vector, the state or the observations of all agents. It
turns vectors into tokens, a network's output and the tokens of now into the tokens of
the next step, and tokens into vectors again, and it knows the loss of such an output.
`flat` has one token with all features, all continuous; `typed` one for each entity of a
layout, with features of several kinds.
"""
