"""Everything a plugin may use of the core; nothing else is promised to stay.

A plugin is a module that implements hooks of ``repoman.hookspecs`` with :data:`hookimpl` and is
named in the entry-point group ``repoman.plugins``. ``docs/plugin_hooks.md`` says since which
version of the facade there is each name.
"""

from collections.abc import Callable

import pluggy

from repoman.blobs.manager import BlobStoreFactory
from repoman.blobs.store import BlobStat, BlobStore, BlobTarget, BlobWriter, StoredBlob
from repoman.blobs.upload import BlobUpload, store_bytes
from repoman.bootstrap import is_first_login
from repoman.caching import LruCache
from repoman.catalog.contents import Entry, render_id
from repoman.catalog.folders import FILES_MAX as FOLDER_FILES_MAX
from repoman.catalog.folders import delete_folder, examine_folder
from repoman.catalog.model import (
    AssetView,
    BrowseNode,
    ComponentQuery,
    ComponentView,
    PackageQuery,
    PackageView,
    RepositorySummary,
    Usage,
)
from repoman.catalog.model import Order as ListOrder
from repoman.catalog.model import Page as ListPage
from repoman.catalog.model import PageRequest as ListRequest
from repoman.catalog.search_terms import Terms as SearchTerms
from repoman.catalog.use_records import AssetKey, Referrer, Use
from repoman.catalog.views import RepositoryView, StoredAsset
from repoman.cleanup.preview import Decision as CleanupDecision
from repoman.cleanup.preview import PreviewQuery as CleanupQuery
from repoman.cli.common import MOMENT, render_time, with_repoman
from repoman.cli.task import run_in_server
from repoman.clocks import ConfirmedClock
from repoman.collection import (
    CollectionOptions,
    CollectionResult,
    CollectionStep,
    Collector,
    Hold,
    Unneeded,
    collect,
    list_unneeded,
)
from repoman.collection_records import CollectionState, find_state
from repoman.content import Asset, ContentStore, NewAsset, Reference
from repoman.content_promises import PROMISE_INTERVAL_S
from repoman.content_records import trash_path, trashed_kind
from repoman.content_rules import (
    ContentRules,
    SearchField,
    SearchTarget,
    Span,
    beginning_with,
    merge_spans,
)
from repoman.core import Repoman
from repoman.db.sqlite import LAST_CHARACTER
from repoman.doctor.model import (
    CheckResult,
    DoctorCheck,
    Finding,
    FindingState,
    Fix,
    bad,
    good,
    unchecked,
    warn,
)
from repoman.errors import (
    Conflict,
    Denied,
    ExpressionInvalid,
    Frozen,
    Invalid,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    RangeInvalid,
    ReadOnly,
    RepomanError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unsupported,
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from repoman.events.event import AuditEntry, ContentEvent, Coordinate
from repoman.events.origin import acting_by
from repoman.events.pulls import Pull
from repoman.files.archives import read_tar_member, read_zip_member
from repoman.files.format import (
    FILES_BY_PACKAGE,
    FILES_BY_PATH,
    UPLOAD_TO_DIRECTORY,
    Change,
    ChangePackage,
    Checksum,
    Document,
    Fetch,
    File,
    FileFormat,
    Metadata,
    NewFile,
    Package,
    Rendered,
    StoredFile,
    Target,
    tag_of,
)
from repoman.files.forms import FileUpload, receive_file_document, receive_file_form
from repoman.files.links import Link, read_links, render_links
from repoman.files.paths import check_path
from repoman.files.recipes import files_format, files_recipes
from repoman.files.rendering import choose_form, render_json
from repoman.files.service import (
    Backend,
    FileRepository,
    PackageRepository,
    RemoteQuery,
    check_write,
    takes_uploads,
)
from repoman.flights import SingleFlight
from repoman.graph_records import ContentGraph, FreedBytes, GraphNode, released_bytes
from repoman.group.asking import MemberPool, first_found
from repoman.group.members import Member, Members, readable
from repoman.group.search import GroupSearch
from repoman.group.trace import GroupTrace, Question
from repoman.hookspecs import API_VERSION, PROJECT
from repoman.http.addresses import (
    RepositoryAddress,
    find_format,
    list_addresses,
    list_reaching,
    main_address,
)
from repoman.http.attachments import OpenDocument, read_json
from repoman.http.body import BodySink, Stream, body_length, read_body, receive_body
from repoman.http.content import Content, protect_content, send_content
from repoman.http.current import (
    allow_caching,
    bearer_token,
    current_actor,
    current_environ,
    current_ref,
    current_repoman,
    current_repository,
    note_failed_login,
    note_pull,
)
from repoman.http.current import current_security as _current_security
from repoman.http.errors import Failure, render_with_reason
from repoman.http.format_pages import (
    ComponentLink,
    HomeCard,
    RepositoryTab,
    Snippet,
    UploadGuide,
    UseGuide,
    UseNotice,
    UseRequest,
    UseSection,
)
from repoman.http.formats import Format, FormatUi, access_of_method
from repoman.http.guard import log_in, login_needed, permission_needed
from repoman.http.health import list_problems
from repoman.http.multipart import FILES_MAX, OpenForm
from repoman.http.page_forms import receive_page_form, streams_form
from repoman.http.page_lists import ListQuery, read_list, row_key
from repoman.http.page_tools import (
    content_repository,
    done,
    may_administer,
    page_call,
    settings_repository,
)
from repoman.http.pages import PageLink, ShownLink, SomeSettings, list_pages
from repoman.http.rest import requested_event_lines, requested_events
from repoman.http.search_pages import (
    FindRequest,
    FoundElsewhere,
    FoundItem,
    SearchCriteria,
    SearchInput,
    SearchKind,
)
from repoman.http.section_forms import FormSection, SectionForm
from repoman.http.sessions import (
    begin_session,
    current_session,
    end_session,
    has_lost_session,
)
from repoman.logs import LEVELS, LogLine
from repoman.overview.listeners import list_certificates, list_ports
from repoman.overview.service import RecentEvent, RepositoryOverview, StorageSummary
from repoman.overview.space import FreedByTask
from repoman.patterns import find_pattern
from repoman.printable import pluralize
from repoman.proxy.cache import CacheRemote, ProxyCache, Source
from repoman.proxy.cached_files import CachedFile, CachedFiles, Place, RemoteFiles
from repoman.proxy.download import STORAGE_ERRORS, Download
from repoman.proxy.fetching import Body, FetchRequest, PassThrough
from repoman.proxy.redirects import is_same_server
from repoman.proxy.remote_health import Condition as RemoteCondition
from repoman.proxy.remote_health import Remote, RemoteState
from repoman.proxy.response import DecodedBody, UpstreamResponse, encoding_of
from repoman.proxy.upstream import UpstreamClient
from repoman.repositories.cleanup_records import ALL_FORMATS, CleanupPolicy
from repoman.repositories.component_upload import (
    FILE_FIELD,
    CheckWrite,
    FieldType,
    UploadedFile,
    UploadField,
    UploadForm,
    UploadSpec,
    UploadTarget,
)
from repoman.repositories.connectors import ConnectorReport, ConnectorStatus, report_connectors
from repoman.repositories.model import (
    Capabilities,
    Outcome,
    Repository,
    RepositoryConfig,
    RepositoryType,
    Step,
    Trace,
    VersionSpace,
)
from repoman.repositories.ports import PortReport
from repoman.repositories.proxy_sections import (
    HttpClientSection,
    NegativeCacheSection,
    ProxySection,
    RemoteCredentials,
    ReplicationSection,
)
from repoman.repositories.recipes import Built, Recipe, RepositoryContext, open_cache
from repoman.repositories.routing_records import RoutingMode, RoutingRule
from repoman.repositories.sections import (
    AccessSection,
    CleanupSection,
    ComponentSection,
    ConnectorSection,
    GroupSection,
    HostedStorageSection,
    QuotaSection,
    RoutingSection,
    StorageSection,
    WritePolicy,
)
from repoman.rest.endpoints import (
    API_ROOT,
    EVERYBODY,
    SIGNED_IN,
    Area,
    Call,
    Form,
    Part,
    PartSink,
    Permission,
    Reply,
    RepositoryContent,
    RepositorySettings,
)
from repoman.rest.managed_repositories import ManagedRepositories
from repoman.rest.resources import Page, PageQuery, Query, Resource, Time, Timestamp
from repoman.sections import RegularExpressions, Rest, Section, WebAddress, plain_address
from repoman.security.actors import (
    ANONYMOUS,
    READING,
    WRITING,
    Access,
    Action,
    Actor,
    Credentials,
    Limit,
    RealmType,
    Scope,
)
from repoman.security.contracts import SecurityServices
from repoman.security.explanation import Extent, RightsOverview, find_actor
from repoman.security.expressions import Subject, parse_expression
from repoman.security.ldap_servers import LdapServer, directory_of
from repoman.security.ldap_templates import LDAP_TEMPLATES
from repoman.security.ldap_trial import LdapTrial
from repoman.security.options import (
    ANONYMOUS_OPTIONS,
    LDAP_OPTIONS,
    AnonymousOptions,
    LdapOptions,
)
from repoman.security.permissions import ADMINISTERED, PRIVILEGE_TYPES, SHIPPED_PRIVILEGES
from repoman.security.rights import Grant, list_grants
from repoman.security.rights_records import (
    Privilege,
    Role,
    SelectorRow,
    roles_including,
    roles_with_privilege,
)
from repoman.security.role_rights import (
    LINE_ACTIONS,
    SUBJECT_ACTIONS,
    SUBJECTS,
    RightLine,
    RoleRights,
    SelectedRight,
    is_subject_covered,
    subject_names,
)
from repoman.security.user_records import Status as UserStatus
from repoman.security.user_records import User, UserQuery, count_holders
from repoman.security.user_token_records import TokenQuery
from repoman.stores.model import Quota, QuotaKind, StoreInfo, StoreState
from repoman.stores.quotas import RepositoryQuota
from repoman.support import changed_settings, make_support_zip, missing_formats, system_information
from repoman.tasks.model import (
    FirstTask,
    Run,
    RunState,
    Task,
    TaskContext,
    TaskPlace,
    TaskStopped,
    TaskType,
)
from repoman.tasks.schedule import Frequency, Schedule, make_schedule
from repoman.tasks.service import Tasks, TaskState
from repoman.trust_store import Certificate, fetch_certificate
from repoman.uploads import Upload, UploadSessions, UploadSink
from repoman.versions import NAME_KEYS, VERSION_KEYS, is_semver_prerelease, semver_key
from repoman.waiting import turn, waiting

current_security: Callable[[], SecurityServices] = _current_security

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)  # for hooks that a plugin adds itself

__all__ = [
    "ADMINISTERED",
    "ALL_FORMATS",
    "ANONYMOUS",
    "ANONYMOUS_OPTIONS",
    "API_ROOT",
    "API_VERSION",
    "EVERYBODY",
    "FILES_BY_PACKAGE",
    "FILES_BY_PATH",
    "FILES_MAX",
    "FILE_FIELD",
    "FOLDER_FILES_MAX",
    "LAST_CHARACTER",
    "LDAP_OPTIONS",
    "LDAP_TEMPLATES",
    "LEVELS",
    "LINE_ACTIONS",
    "MOMENT",
    "NAME_KEYS",
    "PRIVILEGE_TYPES",
    "PROMISE_INTERVAL_S",
    "READING",
    "SHIPPED_PRIVILEGES",
    "SIGNED_IN",
    "STORAGE_ERRORS",
    "SUBJECTS",
    "SUBJECT_ACTIONS",
    "UPLOAD_TO_DIRECTORY",
    "VERSION_KEYS",
    "WRITING",
    "Access",
    "AccessSection",
    "Action",
    "Actor",
    "AnonymousOptions",
    "Area",
    "Asset",
    "AssetKey",
    "AssetView",
    "AuditEntry",
    "Backend",
    "BlobStat",
    "BlobStore",
    "BlobStoreFactory",
    "BlobTarget",
    "BlobUpload",
    "BlobWriter",
    "Body",
    "BodySink",
    "BrowseNode",
    "Built",
    "CacheRemote",
    "CachedFile",
    "CachedFiles",
    "Call",
    "Capabilities",
    "Certificate",
    "Change",
    "ChangePackage",
    "CheckResult",
    "CheckWrite",
    "Checksum",
    "CleanupDecision",
    "CleanupPolicy",
    "CleanupQuery",
    "CleanupSection",
    "CollectionOptions",
    "CollectionResult",
    "CollectionState",
    "CollectionStep",
    "Collector",
    "ComponentLink",
    "ComponentQuery",
    "ComponentSection",
    "ComponentView",
    "ConfirmedClock",
    "Conflict",
    "ConnectorReport",
    "ConnectorSection",
    "ConnectorStatus",
    "Content",
    "ContentEvent",
    "ContentGraph",
    "ContentRules",
    "ContentStore",
    "Coordinate",
    "Credentials",
    "DecodedBody",
    "Denied",
    "DoctorCheck",
    "Document",
    "Download",
    "Entry",
    "ExpressionInvalid",
    "Extent",
    "Failure",
    "Fetch",
    "FetchRequest",
    "FieldType",
    "File",
    "FileFormat",
    "FileRepository",
    "FileUpload",
    "FindRequest",
    "Finding",
    "FindingState",
    "FirstTask",
    "Fix",
    "Form",
    "FormSection",
    "Format",
    "FormatUi",
    "FoundElsewhere",
    "FoundItem",
    "FreedByTask",
    "FreedBytes",
    "Frequency",
    "Frozen",
    "Grant",
    "GraphNode",
    "GroupSearch",
    "GroupSection",
    "GroupTrace",
    "Hold",
    "HomeCard",
    "HostedStorageSection",
    "HttpClientSection",
    "Invalid",
    "LdapOptions",
    "LdapServer",
    "LdapTrial",
    "Limit",
    "Link",
    "ListOrder",
    "ListPage",
    "ListQuery",
    "ListRequest",
    "LogLine",
    "LruCache",
    "ManagedRepositories",
    "Member",
    "MemberPool",
    "Members",
    "Metadata",
    "NegativeCacheSection",
    "NewAsset",
    "NewFile",
    "NotFound",
    "OpenDocument",
    "OpenForm",
    "Outcome",
    "Package",
    "PackageQuery",
    "PackageRepository",
    "PackageView",
    "Page",
    "PageLink",
    "PageQuery",
    "Part",
    "PartSink",
    "PassThrough",
    "Permission",
    "Place",
    "PortReport",
    "PreconditionFailed",
    "Privilege",
    "ProxyCache",
    "ProxySection",
    "Pull",
    "Query",
    "Question",
    "Quota",
    "QuotaExceeded",
    "QuotaKind",
    "QuotaSection",
    "RangeInvalid",
    "ReadOnly",
    "RealmType",
    "RecentEvent",
    "Recipe",
    "Reference",
    "Referrer",
    "RegularExpressions",
    "Remote",
    "RemoteCondition",
    "RemoteCredentials",
    "RemoteFiles",
    "RemoteQuery",
    "RemoteState",
    "Rendered",
    "ReplicationSection",
    "Reply",
    "Repoman",
    "RepomanError",
    "Repository",
    "RepositoryAddress",
    "RepositoryConfig",
    "RepositoryContent",
    "RepositoryContext",
    "RepositoryOverview",
    "RepositoryQuota",
    "RepositorySettings",
    "RepositorySummary",
    "RepositoryTab",
    "RepositoryType",
    "RepositoryView",
    "Resource",
    "Rest",
    "RightLine",
    "RightsOverview",
    "Role",
    "RoleRights",
    "RoutingMode",
    "RoutingRule",
    "RoutingSection",
    "Run",
    "RunState",
    "Schedule",
    "Scope",
    "SearchCriteria",
    "SearchField",
    "SearchInput",
    "SearchKind",
    "SearchTarget",
    "SearchTerms",
    "Section",
    "SectionForm",
    "SecurityServices",
    "SelectedRight",
    "SelectorRow",
    "ShownLink",
    "SingleFlight",
    "Snippet",
    "SomeSettings",
    "Source",
    "Span",
    "Step",
    "StorageFull",
    "StorageSection",
    "StorageSummary",
    "StoreInfo",
    "StoreState",
    "StoredAsset",
    "StoredBlob",
    "StoredFile",
    "Stream",
    "Subject",
    "Target",
    "Task",
    "TaskContext",
    "TaskPlace",
    "TaskState",
    "TaskStopped",
    "TaskType",
    "Tasks",
    "Time",
    "Timestamp",
    "TokenQuery",
    "TooLarge",
    "TooManyRequests",
    "Trace",
    "Unauthenticated",
    "Unavailable",
    "Unneeded",
    "Unsupported",
    "Upload",
    "UploadField",
    "UploadForm",
    "UploadGuide",
    "UploadSessions",
    "UploadSink",
    "UploadSpec",
    "UploadTarget",
    "UploadedFile",
    "UpstreamBlocked",
    "UpstreamClient",
    "UpstreamError",
    "UpstreamRateLimited",
    "UpstreamRefused",
    "UpstreamResponse",
    "UpstreamUnavailable",
    "Usage",
    "Use",
    "UseGuide",
    "UseNotice",
    "UseRequest",
    "UseSection",
    "User",
    "UserQuery",
    "UserStatus",
    "VersionSpace",
    "WebAddress",
    "WritePolicy",
    "access_of_method",
    "acting_by",
    "allow_caching",
    "bad",
    "bearer_token",
    "begin_session",
    "beginning_with",
    "body_length",
    "changed_settings",
    "check_path",
    "check_write",
    "choose_form",
    "collect",
    "content_repository",
    "count_holders",
    "current_actor",
    "current_environ",
    "current_ref",
    "current_repoman",
    "current_repository",
    "current_security",
    "current_session",
    "delete_folder",
    "directory_of",
    "done",
    "encoding_of",
    "end_session",
    "examine_folder",
    "fetch_certificate",
    "files_format",
    "files_recipes",
    "find_actor",
    "find_format",
    "find_pattern",
    "find_state",
    "first_found",
    "good",
    "has_lost_session",
    "hookimpl",
    "hookspec",
    "is_first_login",
    "is_same_server",
    "is_semver_prerelease",
    "is_subject_covered",
    "list_addresses",
    "list_certificates",
    "list_grants",
    "list_pages",
    "list_ports",
    "list_problems",
    "list_reaching",
    "list_unneeded",
    "log_in",
    "login_needed",
    "main_address",
    "make_schedule",
    "make_support_zip",
    "may_administer",
    "merge_spans",
    "missing_formats",
    "note_failed_login",
    "note_pull",
    "open_cache",
    "page_call",
    "parse_expression",
    "permission_needed",
    "plain_address",
    "pluralize",
    "protect_content",
    "read_body",
    "read_json",
    "read_links",
    "read_list",
    "read_tar_member",
    "read_zip_member",
    "readable",
    "receive_body",
    "receive_file_document",
    "receive_file_form",
    "receive_page_form",
    "released_bytes",
    "render_id",
    "render_json",
    "render_links",
    "render_time",
    "render_with_reason",
    "report_connectors",
    "requested_event_lines",
    "requested_events",
    "roles_including",
    "roles_with_privilege",
    "row_key",
    "run_in_server",
    "semver_key",
    "send_content",
    "settings_repository",
    "store_bytes",
    "streams_form",
    "subject_names",
    "system_information",
    "tag_of",
    "takes_uploads",
    "trash_path",
    "trashed_kind",
    "turn",
    "unchecked",
    "waiting",
    "warn",
    "with_repoman",
]
