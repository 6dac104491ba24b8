"""The texts to train on: listed, downloaded or generated."""
