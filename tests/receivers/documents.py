# SPDX-License-Identifier: Apache-2.0
"""Configurations of others in docs/."""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def block(page, beginning):
    """The page's only block of YAML that begins so."""
    blocks = re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    (found,) = [text for text in blocks if text.startswith(beginning)]
    return found
