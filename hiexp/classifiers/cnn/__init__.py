"""A convolutional network behind scikit-learn's classifier interface; `network` is the place to begin."""
