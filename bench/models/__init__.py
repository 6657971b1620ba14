"""Reference architectures, loaders of other people's models, and the zoo of reference weights."""
