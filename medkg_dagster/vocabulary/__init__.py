"""Vocabularies: what things of biology and medicine are called, built of many sources into one artefact.

A *source* is a file in one of the formats of `readers`. A library keeps the sources of a home, unifies their
concepts, so that one thing is one concept whatever it is called where, and writes an artefact that is opened
without being read.
"""
