"""The server: waitress' HTTP parser in a server of our own.

waitress parses headers; loops, connections, bodies, files, TLS and WSGI are here. Nothing in here
knows of repositories, but for ``connectors`` and ``process``, which put all together.

A request walks ``loop`` (a socket is readable), ``connection``, ``request_reader`` (header, with
``transport``), ``response_cache`` (known answers end here), ``worker_pool``, ``request_runner``
(the application is called, for a body twice: ``request_body``), ``send_queue`` and
``file_bodies``. Begin with :class:`repoman.server.server.Server`.
"""
