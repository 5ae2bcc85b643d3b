"""LDAP servers as clients describe them over REST."""

import json

from tests.clock import WAIT_S
from tests.fakes.slapd import BASE, READER, READER_PASSWORD

WHERE = "/service/rest/v1/security/ldap"
MIN = {
    "name": "one",
    "protocol": "ldap",
    "host": "localhost",
    "port": 389,
    "searchBase": BASE,
    "authScheme": "NONE",
    "connectionTimeoutSeconds": 30,
    "connectionRetryDelaySeconds": 0,
    "maxIncidentsCount": 0,
}


def send(client, method, path, body):
    return client.request(
        method, f"{WHERE}{path}", data=json.dumps(body), content_type="application/json"
    )


def body_of(directory, name, **values):
    return {
        **MIN,
        "name": name,
        "port": directory.port,
        "authScheme": "SIMPLE",
        "authUsername": READER,
        "authPassword": READER_PASSWORD,
        "connectionTimeoutSeconds": int(WAIT_S),
        "userBaseDn": "ou=people",
        "userObjectClass": "inetOrgPerson",
        "userIdAttribute": "uid",
        "ldapGroupsAsRoles": True,
        "groupType": "static",
        "groupBaseDn": "ou=groups",
        "groupObjectClass": "groupOfNames",
        "groupIdAttribute": "cn",
        "groupMemberAttribute": "member",
        "groupMemberFormat": "${dn}",
        **values,
    }
