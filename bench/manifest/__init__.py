"""What making a result used, written down, so that the result is reused only while all of it is the same.

A *manifest* lists files with digests, paths that were looked for and not found, listings of folders, environment
variables, where each module's name resolves to, and installed distributions. Nothing here imports torch.
"""
