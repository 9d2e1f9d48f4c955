"""A secret store for one machine: the part of the key-value API, version 2, that the platform uses, over real HTTP.

It keeps its texts in a file that only its owner reads, without encryption: for trying things out, never for secrets
that matter. Production settings refuse it.
"""
