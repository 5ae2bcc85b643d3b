"""Templates of LDAP servers: how users and groups are described in the usual directories."""

from pydantic import BaseModel, Field

PEOPLE, GROUPS = "ou=people", "ou=groups"


class LdapTemplate(BaseModel):
    """What to fill in for users and groups of one kind of directory; None: nothing."""

    name: str = Field(description="The kind of directory.")
    user_base_dn: str | None = PEOPLE
    user_subtree: bool = False
    user_object_class: str | None = None
    user_ldap_filter: str | None = None
    user_id_attribute: str | None = "uid"
    user_real_name_attribute: str | None = "cn"
    user_email_address_attribute: str | None = "mail"
    user_password_attribute: str | None = None
    ldap_groups_as_roles: bool = True
    group_type: str | None = Field("dynamic", description="static or dynamic.")
    group_base_dn: str | None = None
    group_subtree: bool = False
    group_object_class: str | None = None
    group_id_attribute: str | None = None
    group_member_attribute: str | None = None
    group_member_format: str | None = None
    user_member_of_attribute: str | None = None


def _static(name: str, user: str, group: str, member: str, form: str) -> LdapTemplate:
    """Return the template for a directory whose groups name their members."""
    return LdapTemplate(
        name=name,
        user_object_class=user,
        user_password_attribute="userPassword",  # noqa: S106 - the name of an attribute
        group_type="static",
        group_base_dn=GROUPS,
        group_object_class=group,
        group_id_attribute="cn",
        group_member_attribute=member,
        group_member_format=form,
    )


LDAP_TEMPLATES = (
    LdapTemplate(
        name="Active Directory",
        user_base_dn="cn=users",
        user_subtree=True,
        user_object_class="user",
        user_id_attribute="sAMAccountName",
        user_member_of_attribute="memberOf",
    ),
    _static("Generic LDAP Server", "inetOrgPerson", "groupOfUniqueNames", "uniqueMember", "${dn}"),
    LdapTemplate(
        name="Posix with Dynamic Groups",
        user_object_class="posixAccount",
        user_password_attribute="userPassword",  # noqa: S106 - the name of an attribute
        user_member_of_attribute="memberOf",
    ),
    _static("Posix with Static Groups", "posixAccount", "posixGroup", "memberUid", "${username}"),
)
