#!/usr/bin/env python3
"""Compares the public functions of cortex-wire with those that the link proof reaches.

proof.py reached RUSTDOC.json FUNCTIONS   fails unless FUNCTIONS, the output of `nm --demangle` of the
                                          proof without optimisation, has every public function
proof.py panics DISASSEMBLY               fails if `main` reaches the panic handler other than by a
                                          failed allocation, in the output of `objdump --demangle`

A function of an async method is reached only if its future is polled. Formatting and comparison as the compiler
derives them are not covered, nor what it computes by itself.
"""

import json
import re
import sys

# Traits of which each implementation counts; those of cortex-wire itself count as well.
TRAITS = {
    "From", "TryFrom", "FromStr", "Iterator", "DoubleEndedIterator", "ExactSizeIterator", "IntoIterator",
    "PartialEq", "AsRef", "Deref",
}

# Computed by the compiler, or without code: described types and their names, and formatting.
EXEMPT = {
    # The compiler computes a type's fingerprints.
    "cortex_wire::fingerprint::wire", "cortex_wire::fingerprint::schema",
    "cortex_wire::fingerprint::layout", "cortex_wire::fingerprint::short_hash",
}

# What may panic: a failed allocation, and a future that is polled after its end.
ALLOWED = re.compile(
    r"alloc::raw_vec::(capacity_overflow|handle_error)|alloc::alloc::handle_alloc_error|"
    r"alloc_error_handler|"
    r"panic_const_async_fn_resumed|"
    # The checks in the standard library's own map.
    r"drop_in_place::<alloc::collections::btree|alloc::collections::btree::"
)


def strip_generics(text):
    """The text without what is between angle brackets."""
    out, depth = [], 0
    for at, char in enumerate(text):
        if char == "<":
            depth += 1
        elif char == ">" and text[at - 1] != "-":
            depth -= 1
        elif depth == 0:
            out.append(char)
    return "".join(out)


def head(text):
    """A type's name without its parameters."""
    text = text.strip()
    if text.startswith("&"):
        inner = re.sub(r"^&('[\w]+ )?(mut )?", "", text)
        return "&" + head(inner)
    if text.startswith("["):
        return "[;]" if "; " in text else "[]"
    if text.startswith("("):
        return "()"
    path = strip_generics(text).rstrip(":")
    return path if path.startswith("cortex_wire") else path.split("::")[-1]


def closing(text):
    """The position of the bracket that closes the first one."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"<": 1, ">": -1}.get(char, 0) if not (char == ">" and text[at - 1] == "-") else 0
        if depth == 0:
            return at
    return len(text) - 1


def reached(lines):
    """The functions among the symbols: (type or module, trait or none, name)."""
    found = set()
    for line in lines:
        match = re.match(r"^[0-9a-f ]*[A-Za-z] (.*)$", line)
        symbol = match.group(1) if match else line.strip()
        symbol = re.sub(r"\[[0-9a-f]{16}\]", "", symbol)
        # An implementation in another module than its type's: module::<impl Trait for Type>::name
        apart = re.match(r"^[\w:]+::<impl ", symbol)
        if apart:
            end = apart.end() - 6 + closing(symbol[apart.end() - 6 :])
            subject, rest = symbol[apart.end() : end], symbol[end + 1 :]
            at = subject.find(" for ")
            symbol = f"<{subject[at + 5 :]} as {subject[:at]}>{rest}" if at >= 0 else f"<{subject}>{rest}"
        if symbol.startswith("<"):
            end = closing(symbol)
            subject, rest = symbol[1:end], symbol[end + 1 :]
            at, depth = -1, 0
            for position, char in enumerate(subject):
                depth += {"<": 1, "[": 1, "(": 1, ">": -1, "]": -1, ")": -1}.get(char, 0)
                if depth == 0 and subject.startswith(" as ", position):
                    at = position
                    break
            if at < 0:
                subject, trait = head(subject), None
            else:
                subject, trait = head(subject[:at]), strip_generics(subject[at + 4 :]).split("::")[-1]
            names = [name for name in strip_generics(rest).split("::") if name]
        else:
            names = [name for name in strip_generics(symbol).split("::") if name]
            subject, trait, names = "::".join(names[:-1]), None, names[-1:]
            if symbol.endswith("{closure#0}"):
                names = ["{closure#0}"]
        if not names:
            continue
        found.add((subject, trait, names[0]))
        if len(names) > 1 and names[1].startswith("{closure#0}"):
            found.add((subject, trait, names[0] + "{poll}"))
    return found


class Docs:
    """The public functions by rustdoc."""

    def __init__(self, path):
        crate = json.load(open(path))
        self.index, self.paths = crate["index"], crate["paths"]
        self.found = {}
        for item in self.index.values():
            if item["crate_id"] != 0:
                continue
            inner = item["inner"]
            if "module" in inner:
                self.module(item, inner["module"])
            elif "impl" in inner and not self.is_derived(item):
                self.implementation(inner["impl"])

    def path(self, id):
        return "::".join(self.paths[str(id)]["path"]) if str(id) in self.paths else None

    def type(self, kind):
        if "resolved_path" in kind:
            path = self.path(kind["resolved_path"]["id"]) or kind["resolved_path"]["path"]
            return path if path.startswith("cortex_wire") else path.split("::")[-1]
        if "primitive" in kind:
            return kind["primitive"]
        if "borrowed_ref" in kind:
            return "&" + self.type(kind["borrowed_ref"]["type"])
        if "slice" in kind:
            return "[]"
        if "array" in kind:
            return "[;]"
        return "()" if "tuple" in kind else None

    def module(self, item, module):
        for id in module["items"]:
            child = self.index.get(str(id))
            if child and "use" in child["inner"]:
                child = self.index.get(str(child["inner"]["use"]["id"]))
            if child and "function" in child["inner"]:
                path = self.path(child["id"])
                self.add(path.rsplit("::", 1)[0], None, child)

    def implementation(self, implementation):
        if implementation["is_synthetic"] or implementation["blanket_impl"]:
            return
        subject = self.type(implementation["for"])
        trait = implementation["trait"]
        if trait:
            is_ours = (self.path(trait["id"]) or "").startswith("cortex_wire")
            name = trait["path"].split("::")[-1]
            if not is_ours and name not in TRAITS:
                return
            trait = name
        for id in implementation["items"]:
            child = self.index[str(id)]
            if "function" in child["inner"]:
                self.add(subject, trait, child)

    @staticmethod
    def is_derived(item):
        return any("automatically_derived" in str(attribute) for attribute in item["attrs"])

    def add(self, subject, trait, item):
        function = item["inner"]["function"]
        if subject is None:
            return
        self.found[(subject, trait, item["name"])] = function["header"]["is_async"]


def compare(docs, symbols):
    functions = reached(open(symbols, errors="replace"))
    missing = []
    for (subject, trait, name), is_async in sorted(Docs(docs).found.items(), key=str):
        text = f"<{subject} as {trait}>::{name}" if trait else f"{subject}::{name}"
        if text in EXEMPT:
            continue
        if (subject, trait, name) not in functions:
            missing.append(text)
        elif is_async and (subject, trait, name + "{poll}") not in functions:
            missing.append(text + " is not polled")
    for text in missing:
        print(f"not reached: {text}")
    print(f"{len(Docs(docs).found) - len(missing)} functions are reached, {len(missing)} are not")
    return not missing


def panics(disassembly):
    calls, function = {}, None
    for line in open(disassembly, errors="replace"):
        start = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        if start:
            function = re.sub(r"::h[0-9a-f]{16}$", "", start.group(1))
            calls.setdefault(function, set())
            continue
        target = re.search(r"\s(?:call|j\w+)\s+[0-9a-f]+ <(.*?)(?:\+0x[0-9a-f]+)?>$", line.rstrip())
        # The address of a function that is called through a pointer.
        target = target or re.search(r"\slea\s.*# [0-9a-f]+ <(.*?)(?:\+0x[0-9a-f]+)?>$", line.rstrip())
        if target and function:
            calls[function].add(re.sub(r"::h[0-9a-f]{16}$", "", target.group(1)))
    ways, seen = [["main"]], {"main"}
    while ways:
        way = ways.pop()
        if way[-1] == "cortex_wire_panics":
            print("main reaches a panic: " + " -> ".join(way))
            return False
        for callee in sorted(calls.get(way[-1], ())):
            if callee not in seen and not ALLOWED.search(callee):
                seen.add(callee)
                ways.append(way + [callee])
    if "main" not in calls or "cortex_wire_panics" not in calls:
        print("there is no main or no panic handler")
        return False
    print(f"main reaches {len(seen)} functions, and a panic only where an allocation fails")
    return True


if __name__ == "__main__":
    command, *files = sys.argv[1:]
    sys.exit(0 if {"reached": compare, "panics": panics}[command](*files) else 1)
