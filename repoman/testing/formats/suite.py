"""What every format must do, as tests: subclass :class:`FormatSuite` and say what its files are.

::

    class TestBooks(FormatSuite):
        name = "books"
        plugin = plugin
        puts = True

        def make(self, package, version, content=""):
            path = f"{package}/{version}/{package}.txt"
            return Sample(path, f"{package} {version} {content}".encode(), package, version)

The tests share one Repoman with all installed plugins, and each makes repositories of its own. What
does not apply to a format is taken out by ``test_… = None`` in the subclass, with the reason.
"""

from repoman.testing.formats.absence import AbsenceTests
from repoman.testing.formats.addresses import AddressTests
from repoman.testing.formats.faces import FaceTests
from repoman.testing.formats.faults import FaultTests
from repoman.testing.formats.group import GroupTests
from repoman.testing.formats.hosted import HostedTests
from repoman.testing.formats.kills import KillTests
from repoman.testing.formats.limits import LimitTests
from repoman.testing.formats.proxy import ProxyTests
from repoman.testing.formats.rights import RightsTests


class FormatSuite(
    HostedTests,
    KillTests,
    LimitTests,
    ProxyTests,
    FaultTests,
    GroupTests,
    RightsTests,
    AddressTests,
    FaceTests,
    AbsenceTests,
):
    """The contract of a format; see :class:`repoman.testing.formats.samples.Declarations`."""
