"""Response headers that keep browsers from being turned against their users.

Pages of the main port run no script but their own files, and are shown in no frame. What comes out
of a repository was written by anybody who may write there. A browser shows it as a document without
scripts and of no origin, so that it can do nothing in the name of who looks at it.
"""

from flask import Flask, Response, request

from repoman.http.current import is_on_main_port

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "media-src 'self'",
        "frame-ancestors 'self'",
        "sandbox",
    )
)
POLICY = "Content-Security-Policy"
PAGE_HEADERS = {
    POLICY: PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


def install_page_headers(app: Flask, hsts: int) -> None:
    """Give every response of the app the headers of pages; those that a view set stay.

    ``hsts`` is for how many seconds HTTPS is to be insisted on, once it was used; 0: say nothing.
    """

    @app.after_request
    def _protect(response: Response) -> Response:
        for name, value in PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        if hsts and request.is_secure:
            response.headers["Strict-Transport-Security"] = f"max-age={hsts}"
        return response


def protect_content(response: Response) -> Response:
    """Give a response with what somebody stored the headers that take its powers away.

    A format may set another policy, which counts on connectors alone: on the main port the pages of
    the administrator have the same origin.
    """
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if POLICY not in headers or is_on_main_port():
        headers[POLICY] = CONTENT_POLICY
    return response
