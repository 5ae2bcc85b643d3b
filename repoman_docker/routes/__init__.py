"""The wire of the registry API: parse a request, call a service, render the answer."""
