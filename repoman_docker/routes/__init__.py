"""The routes of the registry API: parse a request, call a service, render the response."""
