"""The page on which people read and try the REST API: Swagger UI from local files.

Its files come with the package flask-swagger-ui, whose own page is not used: that one has a script
in it, which the policy of our pages forbids.
"""

import json
from importlib.resources import files
from pathlib import Path

from flask import Blueprint, Response, abort, send_from_directory, url_for
from markupsafe import Markup

from repoman.http.content import POLICY
from repoman.http.pages import PAGE_POLICY
from repoman.http.rest_sessions import proof_of
from repoman.http.sessions import current_session
from repoman.rest.endpoints import API_ROOT, NEXUS_ROOT

PAGE = f"{NEXUS_ROOT}/swagger"
OWN = Path(__file__).with_name("static")
OWN_FILES = ("api.js",)
UI_PACKAGE = "flask_swagger_ui"
UI_FILES = (
    *("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "index.css"),
    *("favicon-16x16.png", "favicon-32x32.png"),
)
STYLE = "'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='"  # The one that Swagger UI adds.
# What the page offers to read, by its name.
DESCRIPTIONS = {
    "As Nexus Repository 3": f"{NEXUS_ROOT}/openapi.json",
    "Our own": f"{API_ROOT}/openapi.json",
}
TEXT = Markup("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>REST API - repoman</title>
<link rel="icon" type="image/png" href="{base}/favicon-32x32.png">
<link rel="stylesheet" href="{base}/index.css">
<link rel="stylesheet" href="{base}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{base}/swagger-ui-bundle.js"></script>
<script src="{base}/swagger-ui-standalone-preset.js"></script>
<script src="{base}/api.js" data-urls="{urls}" data-proof="{proof}"></script>
</body>
</html>
""")

api_page = Blueprint("repoman_api", __name__)


@api_page.get(PAGE, strict_slashes=False)
def show() -> Response:
    """Show the descriptions of the API; a browser session may try it."""
    session = current_session()
    root = url_for("repoman_api.show").removesuffix(PAGE)
    urls = [{"name": name, "url": root + path} for name, path in DESCRIPTIONS.items()]
    text = TEXT.format(
        base=root + PAGE,
        urls=json.dumps(urls),
        proof="" if session is None else proof_of(session),
    )
    response = Response(text, mimetype="text/html")
    policy = PAGE_POLICY.replace("style-src", f"style-src {STYLE}")
    response.headers[POLICY] = policy.replace("img-src", "img-src data:")
    return response


@api_page.get(f"{PAGE}/<name>")
def send(name: str) -> Response:
    """Send a file of the page."""
    if name in OWN_FILES:
        return send_from_directory(OWN, name)
    if name not in UI_FILES:
        abort(404)
    return send_from_directory(Path(str(files(UI_PACKAGE))) / "dist", name)
