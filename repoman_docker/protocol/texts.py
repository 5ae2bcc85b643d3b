"""Text from outside that people will read, on a terminal for the most part."""


def one_line(text: str) -> str:
    """Return a text in one line, without control characters and others that cannot be printed."""
    if text.isprintable():
        return text
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
