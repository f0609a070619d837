"""Fakes and contract tests that plug-in authors and users may use: a virtual clock, a grid server, meters with known watts."""
