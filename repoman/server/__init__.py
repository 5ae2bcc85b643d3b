"""The server: waitress' HTTP parser and WSGI tasks over an I/O layer of our own.

waitress reads requests and speaks WSGI; loops, connections, bodies, files and TLS are here. Begin
with :class:`repoman.server.server.Server`. Nothing in here knows of repositories.
"""
