"""Texts to train on: listed, downloaded or generated."""
