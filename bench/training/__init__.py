"""Training recipes: each is a function of a model, data and options that leaves the model trained."""
