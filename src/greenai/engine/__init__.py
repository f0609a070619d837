"""The sequence of a job's life; talks to the world only through ports."""
