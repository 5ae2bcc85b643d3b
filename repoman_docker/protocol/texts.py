"""Text from outside that users read, mostly on a terminal."""


def one_line(text: str) -> str:
    """Return a text in one line, without control and other non-printable characters."""
    if text.isprintable():
        return text
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
