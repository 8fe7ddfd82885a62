"""Benchmarks: obskit against a hand-written floor and its peers, interleaved in one run.

A lone time says little on a shared machine. So each participant runs in a process of its own,
all take turns for many short rounds, and what counts is the ratio within a round.
"""
