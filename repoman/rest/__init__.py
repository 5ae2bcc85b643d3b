"""The REST API as data: endpoints, their rights, and resources; ``repoman.http`` serves them."""
