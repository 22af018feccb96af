#!/usr/bin/env bash
# Builds the book in docs/ into target/book and fails on any warning. Checks that relative links in
# the book and in the READMEs lead somewhere, headings included; that each section of the wire
# reference which a doc comment cites exists; that each copy of an example equals the example; and that
# each link at the foot of cortex-wire's README
# has its counterpart in src/lib.rs, without which it would be broken on the crate's page.
#
# Installs mdBook from crates.io if it is missing: four minutes of compiling, once. There is no
# prebuilt one in a package registry; where a machine has one in its PATH, that is taken.
. "$(dirname "$0")/bootstrap.sh"

install_crate mdbook

output=target/book-output
mkdir -p target
mdbook build docs >"$output" 2>&1 || { cat "$output" >&2 && fail "the book does not build"; }
! grep -E 'WARN|ERROR' "$output" >&2 || fail "the book builds with warnings"
say "built"

python3 - <<'PYTHON' || fail "not everything that is linked or cited exists"
import re
import subprocess
import sys
from pathlib import Path

faults = []


def without_code(text):
    """The text with the lines of code blocks and the content of code spans blanked."""
    text = re.sub(r"^( *)(```+|~~~+).*?^\1\2 *$", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)
    # A link's text may be code; what looks like a link inside a code span is none.
    return re.sub(r"(?<!\[)`[^`\n]*`(?!\])", "", text)


def anchors(path):
    """The anchors that GitHub and mdBook make of a page's headings."""
    text = re.sub(r"^( *)(```+).*?^\1\2 *$", "", path.read_text(), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text, flags=re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(slug)
    return found


listed = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "docs/*.md", "README.md", "*/README.md"],
    check=True, capture_output=True, text=True,
).stdout.split()
pages = [Path(name) for name in listed if Path(name).exists()]
links = 0
for page in pages:
    text = without_code(page.read_text())
    targets = [(m.start(), m[1]) for m in re.finditer(r"\]\(<?([^)\s>]+)[^)]*\)", text)]
    targets += [(m.start(1), m[1]) for m in re.finditer(r"^ *\[[^\]]+\]: +<?([^\s>]+)", text, flags=re.M)]
    for at, target in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        links += 1
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        where = f"{page}:{text.count(chr(10), 0, at) + 1}"
        if not file.exists():
            faults.append(f"{where}: {target} does not exist")
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            faults.append(f"{where}: {name or page} has no heading #{anchor}")

sections = set(re.findall(r"^#+ +(.+?) *$", Path("docs/src/wire.md").read_text(), flags=re.M))
cited = 0
for source in sorted(p for crate in ("cortex-wire", "cortex-std") for p in Path(crate).rglob("*.rs")):
    text = re.sub(r"\s*\n\s*//[/!]? ?", " ", source.read_text())
    for names in re.findall(r'[Ww]ire reference, ((?:"[^"]+"(?:,? and |, )?)+)', text):
        for name in re.findall(r'"([^"]+)"', names):
            cited += 1
            if name not in sections:
                faults.append(f'{source}: the wire reference has no section "{name}"')

definition = r"^{}(\[`[^`]+`\]): "
readme = re.findall(definition.format(""), Path("cortex-wire/README.md").read_text(), flags=re.M)
crate = re.findall(definition.format("//! "), Path("cortex-wire/src/lib.rs").read_text(), flags=re.M)
for label in set(readme) ^ set(crate):
    faults.append(f"cortex-wire: {label} is defined in one of README.md and src/lib.rs only")
for label in {label for label in readme if sum(label.lower() == other.lower() for other in readme) > 1}:
    faults.append(f"cortex-wire/README.md: {label} is defined twice; case does not count")
for label in set(re.findall(r"\[`[^`\n]+`\](?![(:])", Path("cortex-wire/README.md").read_text())) - set(readme):
    faults.append(f"cortex-wire/README.md: {label} is not defined at its foot")

copies = 0
for page in pages:
    text = page.read_text()
    for name, block in re.findall(r"^<!-- The end of (\S+)\. -->\n```[^\n]*\n(.*?)^```$", text, flags=re.M | re.S):
        copies += 1
        if not Path(name).read_text().endswith("\n" + block):
            faults.append(f"{page}: its copy of {name} differs from the end of that file")
    if "{{#include" in text:
        faults.append(f"{page}: GitHub shows an include as text: copy the end of the file instead")

for fault in faults:
    print(fault, file=sys.stderr)
if not (links and cited and readme and copies):
    faults.append("")
    print("found nothing to check", file=sys.stderr)
print(f"{len(pages)} pages, {links} relative links, {cited} citations of the wire reference, {copies} copies of examples")
sys.exit(bool(faults))
PYTHON
say "relative links and citations lead somewhere"
