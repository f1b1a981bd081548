"""A trained audio model as a service: recordings and streams in, answers out."""
