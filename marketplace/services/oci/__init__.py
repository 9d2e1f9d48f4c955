"""Blueprints as signed artifacts in an OCI registry: their form, their signatures, and the registry's API.

Source: blueprints.md §6 of the design; docs/blueprint-publishing.md.
"""
