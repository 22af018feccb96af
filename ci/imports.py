#!/usr/bin/env python3
"""Fails where files of one package import each other in a ring.

    ci/imports.py [--root FOLDER] [--list] [PACKAGE...]     (default: every member of the workspace)
    ci/imports.py --self-test

File A imports file B if code in A names an item that B defines: in a `use` declaration or in a path
(`crate::a::f()`, `super::B`). Re-exports are followed to the defining file, so `crate::Sample` counts
as an import of subscriber/sample.rs, not of lib.rs. These are no imports: `mod child;`, and
`pub use child::X` unless the file's own code uses X. An inline module belongs to its file.

Left out: code under `#[cfg(test)]`, since unit tests may use any file, and `macro_rules!` bodies.
An item that a macro makes counts as defined in the file of the module in which it is found.
"""
import argparse, collections, pathlib, re, sys, tempfile, tomllib

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    | (?P<comment>/\*)
    | (?P<raw>[bc]?r(?P<hashes>\#*)"(?P<raw_text>.*?)"(?P=hashes))
    | (?P<string>[bc]?"(?P<text>(?:\\.|[^"\\])*)")
    | (?P<char>b?'(?:\\(?:u\{[^}]*\}|x..|.)|[^\\'])')
    | (?P<lifetime>'\w+)
    | (?P<ident>(?:r\#)?[^\W\d]\w*)
    | (?P<number>\d\w*)
    | (?P<symbol>::|.)""",
    re.VERBOSE | re.DOTALL,
)
DEFINING = {"struct", "enum", "union", "trait", "fn", "const", "static", "type"}
KEYWORDS = DEFINING | {"mod", "mut", "use", "impl", "unsafe", "async", "extern", "let", "pub", "as", "_"}

Token = collections.namedtuple("Token", "kind text line")
Use = collections.namedtuple("Use", "path alias public line")  # alias None: a glob
Item = collections.namedtuple("Item", "module name")
Edge = collections.namedtuple("Edge", "line name")
EXTERNAL = object()


def tokenize(source):
    """The tokens of a file; comments are dropped, strings are one token each."""
    tokens, at, line = [], 0, 1
    while at < len(source):
        match = TOKEN.match(source, at)
        end = match.end()
        if match.lastgroup == "comment":
            depth = 1
            while depth and (edge := re.compile(r"/\*|\*/").search(source, end)):
                depth += 1 if edge[0] == "/*" else -1
                end = edge.end()
        elif match["raw"] or match["string"]:
            tokens.append(Token("string", match["raw_text"] or match["text"] or "", line))
        elif match["ident"] or match["symbol"]:
            kind = "ident" if match["ident"] else "symbol"
            tokens.append(Token(kind, match[0].removeprefix("r#"), line))
        elif not match["space"]:
            tokens.append(Token("literal", "", line))
        line += source.count("\n", at, end)
        at = end
    return tokens


def closers(tokens):
    """The index of each opening bracket's closing one."""
    pairs, open_at = {}, []
    for index, token in enumerate(tokens):
        if token.kind == "symbol" and token.text in "([{":
            open_at.append(index)
        elif token.kind == "symbol" and token.text in ")]}" and open_at:
            pairs[open_at.pop()] = index
    return pairs


class Module:
    """One module: where it stands, what it defines, and what its code names."""

    def __init__(self, parent, file, folder):
        self.parent, self.file, self.folder = parent, file, folder
        self.root = parent.root if parent else self
        self.children = collections.defaultdict(list)  # name -> modules: `cfg` may give several
        self.defined = set()
        self.uses, self.local_uses = [], []  # of the module, of its functions
        self.paths, self.names = [], {}  # paths in code; single names -> line of the first

    def all(self):
        yield self
        for modules in self.children.values():
            for module in modules:
                yield from module.all()

    def is_within(self, other):
        return self is other or (self.parent is not None and self.parent.is_within(other))


class Parser:
    """Fills a module from its file, and follows `mod` declarations to further files."""

    def __init__(self, module):
        self.tokens = tokenize(module.file.read_text())
        self.closing = closers(self.tokens)
        self.items(module, 0, len(self.tokens))

    def text(self, index):
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def items(self, module, index, end):
        body_end, file_path = -1, None  # up to body_end stand function bodies, impls and the like
        while index < end:
            token, following, top = self.tokens[index], self.text(index + 1), index > body_end
            if token.kind == "symbol" and token.text == "#" and following in "[!":
                start = index + (2 if following == "!" else 1)
                attribute = [t.text for t in self.tokens[start + 1 : self.closing.get(start, start)]]
                if attribute[:1] == ["path"]:
                    file_path = attribute[2]
                if attribute[:1] == ["cfg"] and "test" in attribute and not {"not", "any"} & {*attribute}:
                    index = self.end_of_item(self.closing[start] + 1)
                    continue
            elif token.kind == "symbol" and token.text == "{" and top and self.text(index - 1) != "!":
                body_end = self.closing[index]
            elif token.kind == "ident" and token.text == "macro_rules" and following == "!":
                module.defined.add(self.text(index + 2))
                index = self.closing[index + 3]
            elif token.kind == "ident" and token.text == "mod" and top:
                index = self.module(module, index + 1, file_path)
                file_path = None
            elif token.kind == "ident" and token.text == "use" and following != "<":
                index = self.use(module, index, top)
            elif token.kind == "ident" and token.text == "extern" and following == "crate":
                path = ["crate"] if self.text(index + 2) == "self" else ["::", self.text(index + 2)]
                alias = self.text(index + 4) if self.text(index + 3) == "as" else path[-1]
                module.uses.append(Use(path, alias, True, token.line))
                index += 2
            elif token.kind == "ident" and token.text in DEFINING:
                index += following == "mut"
                named = self.tokens[index + 1].kind == "ident" and self.text(index + 1) not in KEYWORDS
                if named and top and self.text(index - 1) not in ("*", "<", ","):  # `*const T`
                    module.defined.add(self.text(index + 1))
                    index += 1
            elif token.kind == "ident" and self.text(index - 1) not in (".", "::"):
                path = [token.text]
                while self.text(index + 1) == "::" and self.tokens[index + 2].kind == "ident":
                    path.append(self.text(index + 2))
                    index += 2
                module.names.setdefault(token.text, token.line)
                if len(path) > 1:
                    module.paths.append((path, token.line))
            index += 1

    def end_of_item(self, index):
        while self.text(index) == "#":
            index = self.closing[index + 1] + 1
        is_use = self.text(index) == "use"
        while index < len(self.tokens) and self.text(index) not in (";", "}"):
            if index in self.closing:
                if self.text(index) == "{" and not is_use:
                    return self.closing[index] + 1
                index = self.closing[index]
            index += 1
        return index + (self.text(index) == ";")

    def module(self, parent, index, file_path):
        name, folder = self.text(index), parent.folder
        if self.text(index + 1) == "{":
            child = Module(parent, parent.file, folder / name)
            parent.children[name].append(child)
            self.items(child, index + 2, self.closing[index + 1])
            return self.closing[index + 1]
        files = [folder / f"{name}.rs", folder / name / "mod.rs"]
        if file_path:
            files = [parent.file.parent / file_path]
        file = next((file for file in files if file.exists()), None)
        if file is None:
            sys.exit(f"{parent.file}:{self.tokens[index].line}: no file of module {name}")
        child = Module(parent, file, file.parent if file.name == "mod.rs" else file.with_suffix(""))
        parent.children[name].append(child)
        Parser(child)
        return index

    def use(self, module, index, top):
        before = index - 1
        while self.text(before) not in ("pub", ";", "{", "}", "]", ""):  # `pub(in crate::a) use`
            before -= 1
        uses, end = self.use_tree(index + 1, [], self.text(before) == "pub")
        (module.uses if top else module.local_uses).extend(uses)
        return end

    def use_tree(self, index, prefix, public):
        path, uses = list(prefix), []
        while self.text(index) not in (";", ",", "}"):
            text, line = self.text(index), self.tokens[index].line
            if text == "{":
                end = self.closing[index]
                index += 1
                while index < end:
                    inner, index = self.use_tree(index, path, public)
                    uses += inner
                    index += self.text(index) == ","
                return uses, end + 1
            if text == "*":
                return [Use(path, None, public, line)], index + 1
            if text == "as":
                return [Use(path, self.text(index + 1), public, line)], index + 2
            if text == "::" and not path:
                path.append(text)
            elif text != "::" and not (text == "self" and path):
                path.append(text)
            index += 1
        return [Use(path, path[-1], public, self.tokens[index - 1].line)], index


class Graph:
    """The imports among the files of one package."""

    def __init__(self, package, manifest):
        self.package, self.crates = package, {}
        roots = {}
        for name, file in targets(package, manifest):
            if file.exists() and file not in roots:
                roots[file] = Module(None, file, file.parent)
                Parser(roots[file])
            if name:
                self.crates[name] = roots[file]
        self.files, self.edges = set(), collections.defaultdict(dict)
        for root in roots.values():
            for module in root.all():
                self.files.add(module.file)
                self.add_imports(module)

    def add_imports(self, module):
        def add(hits, line, facade_name=None):
            for hit in hits:
                if not isinstance(hit, Item) or hit.module.file == module.file:
                    continue
                if facade_name and hit.module.is_within(module) and facade_name not in module.names:
                    continue
                self.edges[module.file].setdefault(hit.module.file, Edge(line, hit.name))

        for use in module.uses + module.local_uses:
            hits = self.resolve(module, use.path)
            if use.alias:
                add(hits, use.line, use.alias if use.public else None)
                continue
            for source in hits:
                if isinstance(source, Module):
                    for name, line in module.names.items():
                        add(self.lookup(source, name, ()), line)
                elif not use.public:
                    add([source], use.line)
        for path, line in module.paths:
            add(self.resolve(module, path), line)

    def resolve(self, module, path, seen=()):
        """What a path names: modules, items, EXTERNAL."""
        first, rest = path[0], path[1:]
        if first == "crate":
            hits = [module.root]
        elif first == "self":
            hits = [module]
        elif first == "super":
            hits = [module.parent or module]
        else:
            hits = self.lookup(module, first, seen, local=True)
            if not hits:
                hits = [self.crates.get(first, EXTERNAL)]
        for name in rest:
            modules = [hit for hit in hits if isinstance(hit, Module)]
            if not modules:
                return hits  # an item's own items: variants, associated functions
            if name == "super":
                hits = [module.parent for module in modules if module.parent]
                continue
            hits = [hit for module in modules for hit in self.lookup(module, name, seen)]
            hits = hits or [Item(modules[0], name)]  # made by a macro
        return hits

    def lookup(self, module, name, seen, local=False):
        """What a name means in a module: there may be a module and an item of one name."""
        if (module, name) in seen:
            return []
        seen = (*seen, (module, name))
        hits = list(module.children.get(name, ()))
        if name in module.defined:
            hits.append(Item(module, name))
        uses = module.uses + (module.local_uses if local else [])
        for use in uses:
            if use.alias == name:
                found = self.resolve(module, use.path, seen)
                hits += [hit for hit in found if hit is not EXTERNAL or not hits]
        for use in () if hits else uses:
            if use.alias is None:
                for source in self.resolve(module, use.path, seen):
                    if isinstance(source, Module):
                        hits += self.lookup(source, name, seen)
        return hits

    def path(self, start, end):
        """The shortest way along imports, as files; none if there is no way."""
        before, queue = {}, collections.deque([start])
        while queue:
            file = queue.popleft()
            for target in self.edges[file]:
                if target == end:
                    way = [file]
                    while way[-1] != start:
                        way.append(before[way[-1]])
                    return way[::-1]
                if target not in before:
                    before[target] = file
                    queue.append(target)
        return None

    def rings(self):
        """Each set of files that reach each other, with its smallest ring."""
        found, done = [], set()
        for file in sorted(self.files):
            if file in done or not self.path(file, file):
                continue
            members = [
                other for other in sorted(self.files)
                if other == file or (self.path(file, other) and self.path(other, file))
            ]
            done.update(members)
            found.append((members, min((self.path(m, m) for m in members), key=len)))
        return found

    def show(self, source, target):
        edge = self.edges[source][target]
        source, target = (file.relative_to(self.package).as_posix() for file in (source, target))
        return f"{source}:{edge.line} -> {target} ({edge.name})"


def targets(package, manifest):
    """Each target's file, and the name under which the others import it, which only the library has."""
    library = package / manifest.get("lib", {}).get("path", "src/lib.rs")
    yield manifest["package"]["name"].replace("-", "_") if library.exists() else None, library
    for kind in ("bin", "test", "bench", "example"):
        for target in manifest.get(kind, []):
            if "path" in target:
                yield None, package / target["path"]
    for pattern in ("src/main.rs", "src/bin", "tests", "benches", "examples"):
        for file in [package / pattern, *package.glob(f"{pattern}/*.rs"), *package.glob(f"{pattern}/*/main.rs")]:
            if file.is_file():
                yield None, file


def self_test():
    cases = {
        "a ring of two through re-exports at the root": (["a.rs", "b.rs"], {
            "lib.rs": "mod a; mod b;\npub use a::A; pub use crate::b::{B as C};",
            "a.rs": "use crate::C; pub struct A;",
            "b.rs": "/* use x; */ use super::{A}; pub struct B;"}),
        "a ring through a path in code": (["a/mod.rs", "b.rs"], {
            "lib.rs": "mod a; mod b;",
            "a/mod.rs": "mod c; pub use c::*; pub fn f() { let _ = '{'; crate::b::g(); }",
            "a/c.rs": "pub struct S;",
            "b.rs": 'pub fn g() { print(r#"a " b"#, super::a::f as fn()) }'}),
        "a ring of a parent and its child": (["a/b.rs", "a.rs"], {
            "lib.rs": "mod a;",
            "a.rs": "mod b; pub use b::B; pub static mut N: u8 = 1; fn f(_: &mut B, _: *const B) {}",
            "a/b.rs": "pub struct B; const M: u8 = unsafe { super::N };"}),
        "no ring: a facade re-exports": (None, {
            "lib.rs": "mod a;\npub use a::{b::B, C};",
            "a.rs": "mod b; mod c; pub use b::*; pub(crate) use c::{C, self}; pub const N: u8 = 1;",
            "a/b.rs": "use super::{C, N}; pub struct B;",
            "a/c.rs": "use crate::a::N; pub struct C;"}),
        "no ring: tests, comments and strings are left out": (None, {
            "lib.rs": "mod a; mod b;",
            "a.rs": "//! [`B`](crate::b::B)\npub struct A;\n#[cfg(test)]\nmod tests { use crate::b::B; }",
            "b.rs": 'use crate::a::A; pub struct B;\n#[cfg(test)] mod tests;\nconst C: &str = "crate::a::A";',
            "b/tests.rs": "use crate::a::A;"}),
    }
    for name, (expected, files) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            for file, text in files.items():
                path = pathlib.Path(folder, "src", file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            rings = Graph(pathlib.Path(folder), {"package": {"name": "example"}}).rings()
            found = [[m.relative_to(f"{folder}/src").as_posix() for m in members] for members, _ in rings]
            if found != ([expected] if expected else []):
                sys.exit(f"self-test: {name}: found {found}")
    print(f"self-test: {len(cases)} cases pass")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--list", action="store_true", help="print every import")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    read = lambda folder: tomllib.loads((folder / "Cargo.toml").read_text())
    packages = [options.root / member for member in read(options.root)["workspace"]["members"]]
    manifests = {folder: read(folder) for folder in packages}
    known = {manifest["package"]["name"] for manifest in manifests.values()}
    if unknown := {*options.packages} - known:
        sys.exit(f"no package {', '.join(sorted(unknown))}: the workspace has {', '.join(sorted(known))}")
    failed = False
    for folder, manifest in manifests.items():
        name = manifest["package"]["name"]
        if options.packages and name not in options.packages:
            continue
        graph = Graph(folder, manifest)
        if options.list:
            for source in sorted(graph.edges):
                for target in sorted(graph.edges[source]):
                    print(graph.show(source, target))
        rings = graph.rings()
        failed |= bool(rings)
        count = sum(len(found) for found in graph.edges.values())
        summary = f"{len(rings)} ring{'s' if len(rings) > 1 else ''}" if rings else "no ring"
        print(f"{name}: {len(graph.files)} files, {count} imports, {summary}")
        for members, ring in rings:
            names = ", ".join(member.relative_to(folder).as_posix() for member in members)
            print(f"  {len(members)} files import each other: {names}")
            for source, target in zip(ring, ring[1:] + ring[:1]):
                print(f"    {graph.show(source, target)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
