"""The commands of `pactkeeper`, one thought a file: each asks, and answers people in words or scripts in JSON."""
