"""How many tokens are remembered."""

from repoman.plugin import RemoteCredentials
from repoman_docker.remote import tokens
from repoman_docker.remote.tokens import Token, TokenService, TokenStore


def test_the_oldest_tokens_make_room_for_new_ones(monkeypatch):
    monkeypatch.setattr(tokens, "TOKENS_MAX", 3)
    store = TokenStore(None, RemoteCredentials(), ticks=lambda: 0.0)
    service = TokenService("https://hub/token", "s")
    for number in range(5):
        store._remember(service, f"scope {number}", Token(f"Bearer {number}", 0.0, 1e9))
    assert [store.find(service, f"scope {number}") is not None for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
