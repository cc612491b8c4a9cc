"""Checks whether the server of a download answers."""

import threading
import time
from urllib.parse import urlsplit

SECONDS = 15  # without an answer or data after which a server counts as unreachable
PAUSE = 1.0  # seconds before the second attempt


def check_reachable(url: str) -> None:
    """Raises an error if the server of a URL does not answer within 15 seconds.

    Any answer counts, including an error such as 404. Proxies are used as in downloads.

    Raises:
        ConnectionError: If the server cannot be reached.
    """
    if not url.startswith("http"):
        return
    problems: list[Exception] = []
    # A daemon thread, because looking up a name has no timeout.
    thread = threading.Thread(target=_ask, args=(url, problems), daemon=True)
    thread.start()
    thread.join(SECONDS)
    server = urlsplit(url).netloc
    if thread.is_alive():
        raise ConnectionError(f"{server} did not answer within {SECONDS} s")
    if len(problems) == 2:
        raise ConnectionError(f"{server} cannot be reached: {problems[0]}")


def _ask(url: str, problems: list[Exception]) -> None:
    """Asks a server up to two times, and adds each failure to a list."""
    import requests

    for pause in (0, PAUSE):
        time.sleep(pause)
        try:
            requests.head(url, timeout=SECONDS / 3)
        except requests.exceptions.SSLError:
            return  # the server has answered
        except (requests.ConnectionError, requests.Timeout) as error:
            problems.append(error)
        else:
            return
