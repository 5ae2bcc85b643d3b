"""The settings of a directory: what its addresses may hold."""

import pytest
from pydantic import ValidationError

from repoman.security.options import LdapOptions


@pytest.mark.parametrize(
    "url",
    [
        "ldap://cn=reader:s3cret@directory.example.com",
        "ldaps://s3cret@directory.example.com",
        "ldap://directory.example.com?s3cret",
        "ldap://directory.example.com#s3cret",
        "ldap://directory.example.com/dc=s3cret",
        "http://directory.example.com",
    ],
)
def test_an_address_holds_a_host_alone(url):
    with pytest.raises(ValidationError) as caught:
        LdapOptions(urls=[url])
    assert "s3cret" not in str(caught.value)
    assert LdapOptions(urls=["ldaps://directory.example.com:6360"])
