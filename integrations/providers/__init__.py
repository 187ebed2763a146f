"""The adapters, one file a provider. They know HTTP and status codes and must never import a model."""
